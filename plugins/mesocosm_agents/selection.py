"""Which engine computes the jumps of a finite-state game."""

from __future__ import annotations

from mesocosm import Device
from mesocosm_agents.compiled import CompiledEngine, is_tabular
from mesocosm_agents.engine import Engine, Play
from mesocosm_agents.options import AgentBasedOptions
from mesocosm_agents.vectorised import VectorisedEngine


def choose_engine(play: Play, options: AgentBasedOptions, device: Device, precision: str) -> Engine:
    """The engine that the options ask for; `auto` is exact where that needs no time steps, and else steps.

    Steps, from the most to the least special: on a device other than the CPU, tensors; 64 replicates in one word, where they
    share a graph; lists of who is active; tables of intensities; array operations, for any game and policy.
    """
    if options.engine == "mesa":
        return _mesa_engine(play)
    if not is_tabular(play.game, play.policy):
        return VectorisedEngine(play)
    return CompiledEngine(play)


def _mesa_engine(play: Play) -> Engine:
    """The engine `mesa`. Importing Mesa sets the start method of `multiprocessing`; it is put back."""
    import multiprocessing

    method = multiprocessing.get_start_method(allow_none=True)
    from mesocosm_agents.mesa_engine import MesaEngine

    multiprocessing.set_start_method(method, force=True)
    return MesaEngine(play)
