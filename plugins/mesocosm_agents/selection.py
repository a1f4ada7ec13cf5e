"""Which engine computes the jumps of a finite-state game."""

from __future__ import annotations

from mesocosm import Device
from mesocosm_agents.compiled import CompiledEngine, is_tabular
from mesocosm_agents.contagion import is_contagious
from mesocosm_agents.engine import Engine, Play
from mesocosm_agents.exact import ExactEngine, require_exact, suits
from mesocosm_agents.lists import ListEngine
from mesocosm_agents.options import AgentBasedOptions
from mesocosm_agents.vectorised import VectorisedEngine
from mesocosm_agents.words import WordEngine, pays


def choose_engine(play: Play, options: AgentBasedOptions, device: Device, precision: str) -> Engine:
    """The engine that the options ask for; `auto` is exact where that needs no time steps, and else steps.

    Steps, from the most to the least special: on a device other than the CPU, tensors; 64 replicates in one word, where they
    share a graph; lists of who is active; tables of intensities; array operations, for any game and policy.
    """
    if play.game.rewiring is not None:
        from mesocosm_agents.adaptive import AdaptiveEngine

        return AdaptiveEngine(play, play.game.rewiring)
    if options.engine == "mesa":
        return _mesa_engine(play)
    if device.kind != "cpu" and options.engine != "exact":
        from mesocosm_agents.tensors import TensorEngine

        return TensorEngine(play, device.name, precision)
    if options.engine == "exact":
        require_exact(play.game, play.policy, play.streams.label)
        return ExactEngine(play)
    if options.engine == "auto" and options.step is None and suits(play):
        return ExactEngine(play)
    if not is_tabular(play.game, play.policy):
        return VectorisedEngine(play)
    if not is_contagious(play):
        return CompiledEngine(play)
    return WordEngine(play) if pays(play, options.replicates) else ListEngine(play)


def _mesa_engine(play: Play) -> Engine:
    from mesocosm_agents.mesa_loading import start_method_kept

    with start_method_kept():
        from mesocosm_agents.mesa_engine import MesaEngine
    return MesaEngine(play)
