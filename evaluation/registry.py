"""Plug-ins found by their file's name: the folder is the list."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Generic, TypeVar

from evaluation.errors import unknown_name

Plugin = TypeVar("Plugin")


class Registry(Generic[Plugin]):
    """The plug-ins of one folder.

    A plug-in is the one public object of ``package/<name>.py`` that is an instance of ``kind``,
    or, if ``kind`` is a base class of plug-in classes, its one subclass defined there. Modules
    are imported when they are asked for, so listing the names costs nothing.
    """

    def __init__(self, package: str, word: str, kind: type, *, classes: bool = False) -> None:
        """Describe the folder.

        Args:
            package: Dotted name of the folder, such as ``evaluation.metrics``.
            word: What one plug-in is called in messages, such as ``metric``.
            kind: Type that plug-ins are instances of, or their base class.
            classes: Whether plug-ins are subclasses of ``kind`` rather than instances.
        """
        self.package, self.word, self.kind, self.classes = package, word, kind, classes
        self.get = cache(self._get)

    def names(self) -> list[str]:
        """Names of all plug-ins, sorted."""
        path = import_module(self.package).__path__
        return sorted(module.name for module in iter_modules(path))

    def check(self, name: str, where: str) -> str:
        """Return the name if a plug-in has it.

        Raises:
            InputError: There is none; the message names the nearest and all.
        """
        if name not in self.names():
            raise unknown_name(self.word, name, self.names(), where)
        return name

    def _get(self, name: str) -> Plugin:
        self.check(name, self.package)
        module = import_module(f"{self.package}.{name}")
        found = [value for value in vars(module).values() if self._is_plugin(value, module)]
        if len(found) != 1:
            raise TypeError(
                f"{module.__name__} must define exactly one {self.word}, found {len(found)}."
            )
        plugin: Plugin = found[0]
        return plugin

    def _is_plugin(self, value: object, module: ModuleType) -> bool:
        if not self.classes:
            return isinstance(value, self.kind)
        return (
            isinstance(value, type)
            and issubclass(value, self.kind)
            and value.__module__ == module.__name__
        )
