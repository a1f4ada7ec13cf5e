"""Find, isolate, check and list plugins; look a component up by name.

A plugin is `loaded`, `disabled`, `failed` with its reason, or `deferred`: its announcement imports something heavy, and is
imported when a run begins or a component is asked for that nobody else has. A failed one costs the others nothing: it is
a line in `mesocosm plugins`, and an error only where a scenario needs one of its components. What a component names as its
factory is imported when a scenario is run with it, its options when a scenario is read with it, and nothing before.
"""

from __future__ import annotations

import importlib.util
import reprlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from mesocosm import hooks
from mesocosm.announcing import Deferred, announcement
from mesocosm.errors import ComponentError, suggestion
from mesocosm.hooks import API_VERSION, KINDS, Component
from mesocosm.plugin import Entry, Plugin, brief

if TYPE_CHECKING:
    from mesocosm.options import Options

GROUP = "mesocosm.plugins"


class Registry:
    """The plugins of this process. `Registry.discover()` finds the installed ones."""

    def __init__(self, trace: Callable[[str], object] | None = None) -> None:
        self.plugins: list[Plugin] = []
        self.warnings: list[str] = []
        self._entries: list[Entry] = []
        self._deferred: list[tuple[Plugin, metadata.EntryPoint]] = []
        self._manager = pluggy.PluginManager("mesocosm")
        self._manager.add_hookspecs(hooks)
        self._plugin_of: dict[str, Plugin] = {}
        self._tell = trace

    @classmethod
    def discover(
        cls,
        files: Sequence[Path] = (),
        disabled: Iterable[str] = (),
        *,
        trace: Callable[[str], object] | None = None,
    ) -> Registry:
        """Installed plugins (entry points of `mesocosm.plugins`) and single files, less the disabled names.

        `trace` is told of every call of a hook, in a line of text.
        """
        registry, off = cls(trace), set(disabled)
        known: dict[int, tuple[str, str]] = {}
        for point in sorted(metadata.entry_points(group=GROUP), key=lambda point: point.name):
            origin = point.dist
            if id(origin) not in known:
                # Asked once: the metadata are parsed at every look.
                known[id(origin)] = (origin.name, origin.version) if origin else ("unknown", "")
            distribution, version = known[id(origin)]
            announcing = point.value.partition(":")[0].strip()
            found = Plugin(point.name, distribution, version, "disabled", module=announcing)
            if point.name in off:
                registry.plugins.append(found)
                continue
            try:
                announcement(announcing)
                module = point.load()
            except Deferred as error:
                why = f"its announcement imports '{error.library}'; it is loaded when a scenario is read"
                found = replace(found, status="deferred", reason=why)
                registry.plugins.append(found)
                registry._deferred.append((found, point))
            except (Exception, SystemExit) as error:
                registry._failed(found, f"cannot be imported: {brief(error)}")
            else:
                registry._add(module, found)
        for file in files:
            registry.add_file(file)
        return registry

    def load_deferred(self) -> None:
        """Import the plugins that were put off, whatever that costs."""
        while self._deferred:
            found, point = self._deferred.pop(0)
            self.plugins.remove(found)
            try:
                module = point.load()
            except (Exception, SystemExit) as error:
                self._failed(found, f"cannot be imported: {brief(error)}")
            else:
                self._add(module, found)

    def add_file(self, path: Path) -> None:
        """Load one Python file as a plugin; an error at once where it cannot be, since it was asked for by name."""
        name = f"mesocosm_file_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise ComponentError(f"no Python file '{path}'", where="-p", hint="give the path of a plugin's .py file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise ComponentError(f"cannot be imported: {brief(error)}", where=str(path)) from error
        plugin = self._add(module, Plugin(path.stem, str(path), "", "loaded", module=name, file=path))
        if plugin.status == "failed":
            raise ComponentError(plugin.reason, where=str(path))

    def add(self, module: ModuleType | object, name: str, distribution: str, version: str) -> Plugin:
        """Register a module or object with hook implementations."""
        return self._add(module, Plugin(name, distribution, version, "loaded"))

    def _add(self, module: ModuleType | object, found: Plugin) -> Plugin:
        name = found.name
        if name in self._plugin_of:
            taken = f"the name '{name}' is already that of {self._plugin_of[name]}; rename one, or leave it out"
            return self._failed(found, taken)
        try:
            self._manager.register(module, name=name)
            self._manager.check_pending()
            entries = [*self._announced(found)]
        except Exception as error:
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            reason = brief(error)
            if isinstance(error, pluggy.PluginValidationError):
                known = [key for key in vars(hooks) if key.startswith("mesocosm_")]
                reason = f"{reason}; hooks are: {', '.join(known)}"
            return self._failed(found, reason)
        plugin = replace(found, status="loaded", reason="")
        self.plugins.append(plugin)
        self._plugin_of[name] = plugin
        self._entries.extend(Entry(component, plugin) for component in entries)
        return plugin

    def _announced(self, found: Plugin) -> Iterator[Component]:
        for implementation in self._manager.hook.mesocosm_components.get_hookimpls():
            if implementation.plugin_name != found.name:
                continue
            self._trace("mesocosm_components", found, {})
            announced: Any = implementation.function()
            for component in announced:
                if not isinstance(component, Component):
                    raise TypeError(f"mesocosm_components gave {component!r}, which is not a Component")
                if component.kind not in KINDS:
                    raise ValueError(
                        f"component '{component.name}' has kind '{component.kind}'; kinds: {', '.join(KINDS)}"
                    )
                if component.api != API_VERSION:
                    raise ValueError(
                        f"component '{component.name}' was written for plugin interface {component.api}; "
                        f"this is {API_VERSION}; install a matching version"
                    )
                yield component

    def _failed(self, found: Plugin, reason: str) -> Plugin:
        plugin = replace(found, status="failed", reason=reason)
        self.plugins.append(plugin)
        self.warnings.append(f"{plugin} failed and is left out: {reason}")
        return plugin

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All components, or those of one kind, by kind and name."""
        chosen = [entry for entry in self._entries if kind in (None, entry.component.kind)]
        return sorted(chosen, key=lambda entry: (KINDS.index(entry.component.kind), entry.component.name))

    def entry(self, kind: str, name: str) -> Entry:
        """The one component with this kind and name; `ComponentError` where there is none, or more than one."""
        found = self._named(kind, name)
        if not found and self._deferred:
            self.load_deferred()
            found = self._named(kind, name)
        if len(found) == 1:
            return found[0]
        if found:
            raise ComponentError(
                f"{kind} '{name}' is registered by {' and by '.join(sorted(str(entry.plugin) for entry in found))}",
                rule="names are unique",
                hint="disable one of them with --no-plugin",
            )
        absent = [
            f"{plugin} {'failed: ' if plugin.reason else 'is disabled'}{plugin.reason}"
            for plugin in self.plugins
            if plugin.status in ("failed", "disabled")
        ]
        raise ComponentError(
            f"no {kind} is called '{name}'",
            rule=suggestion(name, [entry.component.name for entry in self.entries(kind)]),
            hint="; ".join(absent),
        )

    def _named(self, kind: str, name: str) -> list[Entry]:
        return [entry for entry in self._entries if (entry.component.kind, entry.component.name) == (kind, name)]

    def origin(self, kind: str, name: str) -> str:
        """Where a component comes from, for messages: `plugin 'ours' (our-package 1.2)`."""
        return str(self.entry(kind, name).plugin)

    def options_model(self, kind: str, name: str) -> type[Options]:
        """The options model of a component."""
        from mesocosm.options import Options

        entry = self.entry(kind, name)
        model = entry.load(entry.component.options, "options")
        if not (isinstance(model, type) and issubclass(model, Options)):
            raise ComponentError(
                f"options '{entry.component.options}' of {kind} '{name}'",
                where=str(entry.plugin),
                rule="must be a subclass of mesocosm.Options",
            )
        return model

    def options_context(self) -> dict[str, Any]:
        """The context in which models of options are validated outside a scenario: files are relative to this folder."""
        from mesocosm.validation import options_context

        return options_context(self, Path(), None)

    def factory(self, kind: str, name: str) -> Callable[..., Any]:
        """What makes a component; imports it, and names a missing requirement with how to install it."""
        return self.entry(kind, name).factory()

    @contextmanager
    def observed_by(self, observer: object, name: str) -> Iterator[None]:
        """Let an object of the program itself follow a run through the same hooks as plugins, for a while."""
        self._manager.register(observer, name=name)
        try:
            yield
        finally:
            self._manager.unregister(name=name)

    def notify(self, hook: str, /, **values: Any) -> list[Any]:
        """Call a hook of every plugin; one that raises is a warning and stops neither the run nor the others."""
        self.load_deferred()
        answers = []
        for implementation in reversed(getattr(self._manager.hook, hook).get_hookimpls()):
            name = implementation.plugin_name
            self._trace(hook, self._plugin_of.get(name, name), values)
            try:
                answer: Any = implementation.function(*(values[name] for name in implementation.argnames))
                answers.append(list(answer) if isinstance(answer, Iterator) else answer)
            except Exception as error:
                plugin = self._plugin_of.get(implementation.plugin_name, implementation.plugin_name)
                warning = f"{plugin}: hook {hook} raised {brief(error)}"
                if warning not in self.warnings:  # a hook is called at every save, and may raise at each
                    self.warnings.append(warning)
        return answers

    def _trace(self, hook: str, plugin: Plugin | str, values: Mapping[str, Any]) -> None:
        if self._tell is not None:
            given = ", ".join(f"{name}={reprlib.repr(value)}" for name, value in values.items())
            self._tell(f"{hook}({given}) -> {plugin}")

    def used(self, chosen: Mapping[str, Iterable[str]]) -> list[dict[str, str]]:
        """Kind, name, distribution and version of components, for the manifest; `chosen` maps kind to names."""
        found = [self.entry(kind, name) for kind, names in chosen.items() for name in sorted(set(names))]
        return [
            {
                "kind": entry.component.kind,
                "name": entry.component.name,
                "plugin": entry.plugin.name,
                "distribution": entry.plugin.distribution,
                "version": entry.plugin.version,
            }
            for entry in found
        ]


@cache
def installed() -> Registry:
    """The registry of installed plugins, found once in a process."""
    return Registry.discover()
