"""mesocosm: one population game, three ways: agents on a contact graph, mean-field game, neural mean-field game.

The front door: these names are the public API, and nothing else is. They are loaded when they are first used, so that
`import mesocosm` is fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesocosm.announcing import LIGHT_LIBRARIES as LIGHT_LIBRARIES
    from mesocosm.assessing import Assessment as Assessment
    from mesocosm.assessing import assess as assess
    from mesocosm.box import Axis as Axis
    from mesocosm.box import Door as Door
    from mesocosm.box import Law as Law
    from mesocosm.box import Normal as Normal
    from mesocosm.box import Point as Point
    from mesocosm.box import Uniform as Uniform
    from mesocosm.building import build as build
    from mesocosm.building import makers_of as makers_of
    from mesocosm.changes import GraphChanges as GraphChanges
    from mesocosm.changes import GraphRecord as GraphRecord
    from mesocosm.changes import Piece as Piece
    from mesocosm.choosing import choose_policy as choose_policy
    from mesocosm.clock import Clock as Clock
    from mesocosm.clock import Interval as Interval
    from mesocosm.clock import substeps as substeps
    from mesocosm.comparing import compare as compare
    from mesocosm.device import Device as Device
    from mesocosm.device import resolve_device as resolve_device
    from mesocosm.diffusion import DiffusionGame as DiffusionGame
    from mesocosm.diffusion import Passage as Passage
    from mesocosm.diffusion_field import DiffusionField as DiffusionField
    from mesocosm.diffusion_field import GridFlow as GridFlow
    from mesocosm.discrete import DiscretePolicy as DiscretePolicy
    from mesocosm.discrete import DiscreteTimeGame as DiscreteTimeGame
    from mesocosm.dynamics import FOLLOWS as FOLLOWS
    from mesocosm.dynamics import Context as Context
    from mesocosm.dynamics import Dynamics as Dynamics
    from mesocosm.dynamics import Labelled as Labelled
    from mesocosm.dynamics import Trajectories as Trajectories
    from mesocosm.equilibrium import Flow as Flow
    from mesocosm.equilibrium import MeanField as MeanField
    from mesocosm.equilibrium import half_step_grid as half_step_grid
    from mesocosm.equilibrium import tabulate_policy as tabulate_policy
    from mesocosm.errors import ComponentError as ComponentError
    from mesocosm.errors import DataError as DataError
    from mesocosm.errors import DeviceError as DeviceError
    from mesocosm.errors import DynamicsError as DynamicsError
    from mesocosm.errors import InputError as InputError
    from mesocosm.errors import MesocosmError as MesocosmError
    from mesocosm.errors import RunError as RunError
    from mesocosm.errors import ScenarioError as ScenarioError
    from mesocosm.errors import StoreError as StoreError
    from mesocosm.events import Event as Event
    from mesocosm.events import Events as Events
    from mesocosm.events import Situation as Situation
    from mesocosm.events import Strategy as Strategy
    from mesocosm.events import Threshold as Threshold
    from mesocosm.events import Vaccination as Vaccination
    from mesocosm.features import FEATURES as FEATURES
    from mesocosm.feedback import Feedback as Feedback
    from mesocosm.feedback import GradientFlow as GradientFlow
    from mesocosm.feedback import GridPolicy as GridPolicy
    from mesocosm.game import FiniteStateGame as FiniteStateGame
    from mesocosm.game import Game as Game
    from mesocosm.graph import ContactGraph as ContactGraph
    from mesocosm.grouped import GroupedGame as GroupedGame
    from mesocosm.hooks import API_VERSION as API_VERSION
    from mesocosm.hooks import Component as Component
    from mesocosm.hooks import hookimpl as hookimpl
    from mesocosm.loading import load as load
    from mesocosm.loading import parse as parse
    from mesocosm.marginals import Marginals as Marginals
    from mesocosm.memory import check_memory as check_memory
    from mesocosm.memory import memory_of as memory_of
    from mesocosm.mesa_bridge import mesa_model as mesa_model
    from mesocosm.mixing import DegreeLaw as DegreeLaw
    from mesocosm.mixing import Mixing as Mixing
    from mesocosm.nested import GraphChoice as GraphChoice
    from mesocosm.options import ConstantControl as ConstantControl
    from mesocosm.options import DataPath as DataPath
    from mesocosm.options import LearnFrom as LearnFrom
    from mesocosm.options import Options as Options
    from mesocosm.options import PolicyFile as PolicyFile
    from mesocosm.options import PolicyFrom as PolicyFrom
    from mesocosm.options import PolicyOption as PolicyOption
    from mesocosm.options import Reference as Reference
    from mesocosm.policy import ConstantPolicy as ConstantPolicy
    from mesocosm.policy import Policy as Policy
    from mesocosm.policy import TabulatedPolicy as TabulatedPolicy
    from mesocosm.policy import constant_control as constant_control
    from mesocosm.policy import no_control as no_control
    from mesocosm.policy_file import load_policy as load_policy
    from mesocosm.problem import Population as Population
    from mesocosm.problem import Problem as Problem
    from mesocosm.regime import Course as Course
    from mesocosm.regime import Regime as Regime
    from mesocosm.registry import Registry as Registry
    from mesocosm.results import Results as Results
    from mesocosm.results import open_results as open_results
    from mesocosm.rewiring import Rewiring as Rewiring
    from mesocosm.running import resume as resume
    from mesocosm.running import run as run
    from mesocosm.scenario import Scenario as Scenario
    from mesocosm.scheduler import simulate as simulate
    from mesocosm.seeding import Streams as Streams
    from mesocosm.stage import LearningRule as LearningRule
    from mesocosm.stage import StageGame as StageGame
    from mesocosm.time_grid import saved_shares as saved_shares
    from mesocosm.time_grid import steps_needed as steps_needed
    from mesocosm.time_grid import steps_per_interval as steps_per_interval
    from mesocosm.timeline import Timeline as Timeline
    from mesocosm.transition import Control as Control
    from mesocosm.transition import Transition as Transition

_HOME = {
    "assessing": ("Assessment", "assess"),
    "time_grid": ("saved_shares", "steps_needed", "steps_per_interval"),
    "timeline": ("Timeline",),
    "policy_file": ("load_policy",),
    "changes": ("GraphChanges", "GraphRecord", "Piece"),
    "choosing": ("choose_policy",),
    "events": ("Event", "Events", "Situation", "Strategy", "Threshold", "Vaccination"),
    "features": ("FEATURES",),
    "feedback": ("Feedback", "GridPolicy", "GradientFlow"),
    "stage": ("LearningRule", "StageGame"),
    "diffusion": ("DiffusionGame", "Passage"),
    "diffusion_field": ("DiffusionField", "GridFlow"),
    "box": ("Axis", "Door", "Law", "Normal", "Point", "Uniform"),
    "announcing": ("LIGHT_LIBRARIES",),
    "building": ("build", "makers_of"),
    "clock": ("Clock", "Interval", "substeps"),
    "comparing": ("compare",),
    "device": ("Device", "resolve_device"),
    "discrete": ("DiscretePolicy", "DiscreteTimeGame"),
    "dynamics": ("FOLLOWS", "Context", "Dynamics", "Labelled", "Trajectories"),
    "equilibrium": ("Flow", "MeanField", "half_step_grid", "tabulate_policy"),
    "errors": (
        "ComponentError",
        "DataError",
        "DeviceError",
        "DynamicsError",
        "InputError",
        "MesocosmError",
        "RunError",
        "ScenarioError",
        "StoreError",
    ),
    "game": ("FiniteStateGame", "Game"),
    "graph": ("ContactGraph",),
    "grouped": ("GroupedGame",),
    "hooks": ("API_VERSION", "Component", "hookimpl"),
    "loading": ("load", "parse"),
    "marginals": ("Marginals",),
    "memory": ("check_memory", "memory_of"),
    "mesa_bridge": ("mesa_model",),
    "mixing": ("DegreeLaw", "Mixing"),
    "nested": ("GraphChoice",),
    "options": (
        "ConstantControl",
        "DataPath",
        "LearnFrom",
        "Options",
        "PolicyFile",
        "PolicyFrom",
        "PolicyOption",
        "Reference",
    ),
    "policy": ("ConstantPolicy", "Policy", "TabulatedPolicy", "constant_control", "no_control"),
    "problem": ("Population", "Problem"),
    "regime": ("Course", "Regime"),
    "registry": ("Registry",),
    "results": ("Results", "open_results"),
    "rewiring": ("Rewiring",),
    "scenario": ("Scenario",),
    "running": ("resume", "run"),
    "scheduler": ("simulate",),
    "seeding": ("Streams",),
    "transition": ("Control", "Transition"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE_OF)  # noqa: PLE0605
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'mesocosm' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"mesocosm.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
