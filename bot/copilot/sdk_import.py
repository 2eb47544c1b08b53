"""Imports the Copilot SDK without making its 1,850 generated classes, most of which nobody uses.

`dataclass` writes and compiles three functions for each of them, which takes 0.53 of the import's
0.67 s and 16 of its 42 MB (measured with github-copilot-sdk 1.0.25). Here that waits until a class
is used: until it gets its first object, an heir or somebody who asks for its fields. To whoever
uses one it is no different.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import Any, Final

_GENERATED_PREFIX: Final = "copilot.generated."
_build_lock: Final = threading.RLock()
"""The SDK makes objects on its reading thread as well."""
_original_dataclass: Final = dataclasses.dataclass


def import_sdk() -> None:
    """Import it. Where that was done before, everything stays as it is."""
    dataclasses.dataclass = lazy_dataclass
    try:
        import copilot  # noqa: F401
    finally:
        dataclasses.dataclass = _original_dataclass


def lazy_dataclass(cls: type | None = None, /, **options: Any) -> Any:
    """`dataclasses.dataclass`, which waits with a plain class that is generated."""
    generated = cls is not None and cls.__module__.startswith(_GENERATED_PREFIX)
    if cls is None or not generated or options or "__init__" in vars(cls):
        return _original_dataclass(cls, **options)
    # Where there is no text, `dataclass` writes the signature: 4 ms for each of 40 classes.
    cls.__doc__ = cls.__doc__ or cls.__name__
    for name in ("__init__", "__dataclass_fields__", "__dataclass_params__"):
        setattr(cls, name, _LazyAttribute(cls, name))
    return cls


class _LazyAttribute:
    """Something that `dataclass` gives to a class: who asks for it has the class made."""

    __slots__ = ("_cls", "_name")

    def __init__(self, cls: type, name: str) -> None:
        self._cls = cls
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        _build_dataclass(self._cls)
        built = vars(self._cls)[self._name]
        return built.__get__(instance, owner) if callable(built) else built


def _build_dataclass(cls: type) -> None:
    """Make a dataclass of a class that is none yet. Its `__init__` comes last and in one step, from
    an heir that is there for nothing else: no other thread may find the class without one."""
    with _build_lock:
        if isinstance(vars(cls)["__init__"], _LazyAttribute):
            _original_dataclass(init=False)(cls)
            namespace = {"__module__": cls.__module__, "__doc__": cls.__doc__}
            subclass: type = _original_dataclass(repr=False, eq=False)(
                type(cls.__name__, (cls,), namespace)
            )
            setattr(cls, "__init__", vars(subclass)["__init__"])  # noqa: B010 (mypy knows no other way)
