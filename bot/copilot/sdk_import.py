"""Imports the Copilot SDK without building its 1,850 generated dataclasses, most of them unused.

`dataclass` writes and compiles three functions for each class. That takes 0.53 of the import's
0.67 s and 16 of its 42 MB (measured with github-copilot-sdk 1.0.25). Here a class is built on first
use: with its first object, its first subclass, or the first access to its fields. The caller sees
no difference.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import Any, Final

_GENERATED_PREFIX: Final = "copilot.generated."
_build_lock: Final = threading.RLock()
"""Guards the building of classes. The SDK creates objects on its reading thread, too."""
_original_dataclass: Final = dataclasses.dataclass


def import_sdk() -> None:
    """Import the SDK with lazy dataclasses. Has no effect if the SDK is imported already."""
    dataclasses.dataclass = lazy_dataclass
    try:
        import copilot  # noqa: F401
    finally:
        dataclasses.dataclass = _original_dataclass


def lazy_dataclass(cls: type | None = None, /, **options: Any) -> Any:
    """Replaces `dataclasses.dataclass`: builds a plain generated class on first use only."""
    generated = cls is not None and cls.__module__.startswith(_GENERATED_PREFIX)
    if cls is None or not generated or options or "__init__" in vars(cls):
        return _original_dataclass(cls, **options)
    # Without a docstring, `dataclass` writes the signature: 4 ms for each of 40 classes.
    cls.__doc__ = cls.__doc__ or cls.__name__
    for name in ("__init__", "__dataclass_fields__", "__dataclass_params__"):
        setattr(cls, name, _LazyAttribute(cls, name))
    return cls


class _LazyAttribute:
    """An attribute that `dataclass` adds to a class. Access to it builds the class."""

    __slots__ = ("_cls", "_name")

    def __init__(self, cls: type, name: str) -> None:
        self._cls = cls
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        _build_dataclass(self._cls)
        built = vars(self._cls)[self._name]
        return built.__get__(instance, owner) if callable(built) else built


def _build_dataclass(cls: type) -> None:
    """Turn a class into a dataclass, unless it is one.

    Its `__init__` is set last and in one step, taken from a temporary subclass. So no other thread
    finds the class without `__init__`.
    """
    with _build_lock:
        if isinstance(vars(cls)["__init__"], _LazyAttribute):
            _original_dataclass(init=False)(cls)
            namespace = {"__module__": cls.__module__, "__doc__": cls.__doc__}
            subclass: type = _original_dataclass(repr=False, eq=False)(
                type(cls.__name__, (cls,), namespace)
            )
            setattr(cls, "__init__", vars(subclass)["__init__"])  # noqa: B010 (mypy knows no other way)
