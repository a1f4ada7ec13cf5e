"""Rules for every kind of component: how it is announced, what it imports, what its options accept, what makes it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from pydantic import ValidationError

from mesocosm import FOLLOWS, LIGHT_LIBRARIES, ContactGraph, Dynamics, Game, Options, Strategy
from mesocosm.testing.check import ConformanceError, NotApplicable, Rule, rule
from mesocosm.testing.component import Part
from mesocosm.testing.entry_process import ask, loading, own_modules, undeclared_modules

UNKNOWN = "no_such_option"
"""An option that no component has."""


def _only_modules(subject: Any) -> str:
    plugin = subject.registry.entry(subject.kind, subject.name).plugin
    if plugin.file is not None:
        return "a single file is loaded whole"
    return "" if plugin.module else "the plugin is an object, registered in this process"


def _modules_and_files(subject: Any) -> str:
    plugin = subject.registry.entry(subject.kind, subject.name).plugin
    return "" if plugin.module or plugin.file else "the plugin is an object, registered in this process"


@rule("entry", applies=_only_modules)
def registers_lightly(subject: Part) -> None:
    """Announcing a plugin imports nothing heavy: every command does it, even --help."""
    announced = _light_steps(subject)[0]
    if announced["error"]:
        raise ConformanceError(f"its announcement cannot be imported on its own: {announced['error']}")
    _refuse_heavy(subject, "its announcement", announced["loaded"], "behind the `factory` text of the component")


@rule("entry", applies=_only_modules)
def options_stay_light(subject: Part) -> None:
    """The module of the options imports nothing heavy beyond what the announcement has loaded: validating imports it."""
    steps = _light_steps(subject)
    if len(steps) < 2:
        raise NotApplicable("its announcement cannot be imported; see registers_lightly")
    if steps[1]["error"]:
        raise ConformanceError(f"its options cannot be imported on their own: {steps[1]['error']}")
    _refuse_heavy(subject, "the module of its options", steps[1]["loaded"], "to the module of the factory")


@rule("entry", applies=_modules_and_files)
def loads_with_only_what_it_declares(subject: Part) -> None:
    """Announcement, options and factory import with mesocosm, what the component requires, and what its distribution does.

    Everything else that is installed is hidden, as it is missing where somebody else installs the plugin.
    """
    component = subject.registry.entry(subject.kind, subject.name).component
    hidden = undeclared_modules(subject)
    wanted = [["load", target.partition(":")[0]] for target in (component.options, component.factory)]
    fault = ask([*loading(subject), *wanted], hidden)[-1]
    if not fault["error"]:
        return
    missing = fault["missing"].partition(".")[0]
    if missing not in hidden:
        raise ConformanceError(f"it cannot be imported in a process of its own: {fault['error']}")
    raise ConformanceError(
        f"it imports '{missing}', which nothing that it declares installs",
        hint=f"name '{hidden[missing]}' in `requires` of the component, and in the dependencies of its distribution",
    )


@rule("entry")
def refuses_unknown_options(subject: Any) -> None:
    """An option that the component does not have is an error, so that a misspelt one is not lost."""
    model, given = subject.options_model(), _given(subject.options)
    context = subject.registry.options_context()
    try:
        model.model_validate(given, context=context)
    except ValidationError as error:
        raise NotApplicable("its options do not accept themselves; see options_survive_json") from error
    try:
        model.model_validate({**given, UNKNOWN: 1}, context=context)
    except ValidationError:
        return
    raise ConformanceError(
        f"it takes the option '{UNKNOWN}: 1'",
        hint='derive the options from mesocosm.Options and leave extra="forbid", or check what is extra in a validator',
    )


@rule("entry")
def options_survive_json(subject: Any) -> None:
    """Options written as JSON and read again are equal, and they have a JSON Schema: run folders and editors need both."""
    model, options = subject.options_model(), subject.options
    try:
        text = json.dumps(options.model_dump(mode="json", by_alias=True, warnings="error"), allow_nan=False)
    except Exception as error:
        raise ConformanceError(f"they cannot be written: {type(error).__name__}: {error}") from error
    try:
        again = model.model_validate_json(text, context=subject.registry.options_context())
    except ValidationError as error:
        raise ConformanceError(f"{text} is not read again: {error.errors(include_url=False)[0]['msg']}") from error
    if again != options:
        raise ConformanceError(f"{options!r} is read again as {again!r}")
    try:
        model.model_json_schema()
    except Exception as error:
        raise ConformanceError(f"they have no JSON Schema: {type(error).__name__}: {error}") from error


@rule("entry")
def describes_its_options(subject: Any) -> None:
    """Every option has a description, or its model has: errors, the JSON Schema and the reference are made from it."""
    try:
        schema = subject.options_model().model_json_schema()
    except Exception as error:
        raise NotApplicable("its options have no JSON Schema; see options_survive_json") from error
    silent = sorted(_undescribed(schema))
    if silent:
        raise ConformanceError(
            f"nothing describes {', '.join(silent)}", hint='write Field(description="what it is, and its unit")'
        )


@rule("entry")
def factory_is_what_its_kind_needs(subject: Any) -> None:
    """A dynamics is a subclass of mesocosm.Dynamics that says whose rules it follows; a factory makes a Game, a graph or
    a Strategy.

    It makes them from the options that it is tested with.
    """
    factory = subject.factory()
    if subject.kind == "dynamics":
        if not (isinstance(factory, type) and issubclass(factory, Dynamics)):
            raise ConformanceError(f"the factory {factory!r} is no subclass of mesocosm.Dynamics")
        if factory.follows not in FOLLOWS:
            raise ConformanceError(f"follows is {factory.follows!r}; it is one of {', '.join(FOLLOWS)}")
        return
    wanted = {"game": Game, "graph": ContactGraph, "strategy": Strategy}.get(subject.kind)
    if wanted is None:
        raise NotApplicable(f"the kit has no rule for what a component of kind {subject.kind} makes")
    arguments = (subject.size, np.random.default_rng(0)) if subject.kind == "graph" else ()
    made = factory(subject.options.model_copy(deep=True), *arguments)
    if not isinstance(made, wanted):
        raise ConformanceError(
            f"it makes {type(made).__name__}; a factory of kind {subject.kind} makes {wanted.__name__}"
        )


ENTRY_RULES: tuple[Rule[Any], ...] = (
    registers_lightly,
    options_stay_light,
    loads_with_only_what_it_declares,
    refuses_unknown_options,
    options_survive_json,
    describes_its_options,
    factory_is_what_its_kind_needs,
)
"""Rules for a component of any kind. Subjects have `options`, and a graph `size`."""


def _light_steps(subject: Part) -> list[dict[str, Any]]:
    options = subject.registry.entry(subject.kind, subject.name).component.options
    return ask([*loading(subject), ["load", options.partition(":")[0]]])


def _refuse_heavy(subject: Part, what: str, loaded: list[str], where: str) -> None:
    allowed = LIGHT_LIBRARIES | sys.stdlib_module_names | own_modules(subject)
    # Python's own build data are a module that its list of standard modules leaves out.
    heavy = [name for name in loaded if name not in allowed and not name.startswith("_sysconfigdata")]
    if heavy:
        raise ConformanceError(f"{what} loads {', '.join(heavy)}", hint=f"move what needs it {where}")


def _given(options: Options) -> dict[str, Any]:
    return {**vars(options), **(options.model_extra or {})}


def _undescribed(schema: dict[str, Any]) -> Iterator[str]:
    """Names of the options, of this model and of those inside it, that no description says anything about."""
    models = schema.get("$defs", {})
    for title, model in (("", schema), *models.items()):
        for name, option in model.get("properties", {}).items():
            inner = models.get(option.get("$ref", "").rpartition("/")[2], {})
            if not (option.get("description") or inner.get("description")):
                yield f"{title}.{name}" if title else name
