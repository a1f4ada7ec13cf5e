"""Any generator function of networkx, by name, with its own arguments."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import networkx
import numpy as np
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from mesocosm import ContactGraph, InputError
from mesocosm_graphs.classic import seed_from
from mesocosm_graphs.options import NetworkxGenerator
from mesocosm_graphs.population import required_size

_RESERVED = {
    "seed": "the seed comes from the scenario's own",
    "create_using": "the result is always an undirected graph; see the option simplify",
    "backend": "only networkx itself is used",
}


def networkx_generator(options: NetworkxGenerator, size: int | None, generator: np.random.Generator) -> ContactGraph:
    """The graph that a generator of networkx makes; `n` is the population size where it is left out.

    Errors: `InputError` where networkx refuses the arguments, and for a directed graph, parallel edges or self-loops
    without `simplify`.
    """
    function = generators()[options.generator]
    arguments = dict(options.model_extra or {})
    parameters = inspect.signature(function).parameters
    if "n" in parameters and "n" not in arguments:
        arguments["n"] = required_size(size, f"networkx ({options.generator})")
    if "seed" in parameters:
        arguments["seed"] = seed_from(generator)
    try:
        graph = function(**arguments)
    except Exception as error:
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items() if name != "seed")
        raise InputError(
            f"networkx.{options.generator}({given}) failed",
            where="graph",
            rule=f"{type(error).__name__}: {error}",
            hint="see the networkx reference for its arguments",
        ) from error
    return ContactGraph.from_networkx(_simple(graph, options))


def generators() -> dict[str, Callable[..., Any]]:
    """The functions of networkx that make a graph from plain arguments, by name."""
    found = {}
    for name, value in vars(networkx).items():
        if callable(value) and getattr(value, "__module__", "").startswith("networkx.generators"):
            parameters = inspect.signature(value).parameters
            if "G" not in parameters and not name.startswith(("is_", "number_of_")):
                found[name] = value
    return found


def check_arguments(name: str, arguments: Mapping[str, Any]) -> None:
    """Check a generator's name and arguments against networkx.

    Errors: pydantic's `ValidationError` with one entry for each option at fault.
    """
    faults = list(_faults(name, arguments))
    if faults:
        details = [
            InitErrorDetails(type=PydanticCustomError("networkx", "{text}", {"text": text}), loc=(key,), input=value)
            for key, value, text in faults
        ]
        raise ValidationError.from_exception_data("networkx", details)


def _faults(name: str, arguments: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    known = generators()
    if name not in known:
        return [("generator", name, f"networkx has no graph generator '{name}'; {_suggestion(name, known)}")]
    parameters = inspect.signature(known[name]).parameters
    named = [key for key, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD and key not in _RESERVED]
    faults: list[tuple[str, Any, str]] = []
    for key, value in arguments.items():
        if key in parameters and key in _RESERVED:
            faults.append((key, value, f"'{key}' is not an option; {_RESERVED[key]}"))
        elif key not in named:
            faults.append((key, value, f"{name} has no argument '{key}'; {_suggestion(key, named)}"))
    missing = [
        key for key in named if parameters[key].default is inspect.Parameter.empty and key not in (*arguments, "n")
    ]
    if missing:
        faults.append(("generator", name, f"{name} needs {', '.join(missing)}"))
    return faults


def _suggestion(word: str, known: Mapping[str, Any] | list[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(known) or 'none'}" if len(known) < 20 else "see the networkx reference, Graph generators"


def _simple(graph: Any, options: NetworkxGenerator) -> Any:
    """The graph itself where it is undirected and simple, its simple version where that is asked for."""
    if not isinstance(graph, networkx.Graph):
        raise InputError(
            f"{options.generator} returns a {type(graph).__name__}",
            where="graph.generator",
            rule="it must return a networkx graph",
        )
    if graph.number_of_nodes() == 0:
        raise InputError(f"{options.generator} returns no nodes", where="graph.generator", rule="at least 1 node")
    loops = networkx.number_of_selfloops(graph)
    if not (graph.is_directed() or graph.is_multigraph() or loops):
        return graph
    if not options.simplify:
        what = f"a {type(graph).__name__}" + (f" with {loops} self-loops" if loops else "")
        raise InputError(
            f"{options.generator} returns {what}",
            where="graph.generator",
            rule="a contact graph is undirected and simple",
            hint="set simplify: true to drop directions and self-loops and merge parallel edges",
        )
    simple: Any = networkx.Graph()
    simple.add_nodes_from(graph.nodes(data=True))
    edges: list[tuple[Any, Any, Any]] = list(graph.edges(data="weight"))
    weighted = any(weight is not None for _, _, weight in edges)
    for first, second, weight in edges:
        if first != second:
            value = 1.0 if weight is None else float(weight)
            before = simple.edges[first, second]["weight"] if weighted and simple.has_edge(first, second) else 0.0
            simple.add_edge(first, second, **({"weight": before + value} if weighted else {}))
    return simple
