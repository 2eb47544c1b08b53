"""Tests that the SDK's generated classes are built on first use, and are like the original."""

from __future__ import annotations

import copy
import dataclasses
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from threading import Barrier
from typing import Any

import pytest

from bot.copilot.sdk_import import import_sdk, lazy_dataclass

SECONDS = 60
THREADS = 8

_UNMADE = """
import dataclasses, sys
import bot.copilot
from copilot.generated import rpc, session_events
classes = [it for module in (rpc, session_events) for it in vars(module).values()
           if isinstance(it, type) and "__dataclass_fields__" in vars(it)]
print(len(classes), sum(isinstance(vars(it)["__dataclass_fields__"], dict) for it in classes))
print(dataclasses.dataclass.__module__)
"""

_ALL = """
import dataclasses, inspect, sys
__import__(sys.argv[1])
from copilot.generated import rpc, session_events
for module in (rpc, session_events):
    for name, it in vars(module).items():
        if isinstance(it, type) and it.__module__ == module.__name__:
            if dataclasses.is_dataclass(it):
                fields = [(f.name, f.type, f.default is dataclasses.MISSING, f.kw_only)
                          for f in dataclasses.fields(it)]
                made = [it.__eq__, it.__repr__, it.__init__]
                print(name, inspect.signature(it), fields, it.__match_args__, it.__hash__ is None,
                      [(f.__module__, f.__qualname__) for f in made], sorted(vars(it)))
"""


def _run(script: str, *arguments: str) -> str:
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, timeout=SECONDS, check=True, capture_output=True, text=True)
    return re.sub(" at 0x[0-9a-f]+", "", done.stdout)


def test_the_sdk_is_imported_without_making_its_classes() -> None:
    """And `dataclasses` is as it was afterwards."""
    counts, module = _run(_UNMADE).splitlines()
    classes, made = map(int, counts.split())
    assert classes > 1000
    assert made == 0
    assert module == "dataclasses"


def test_every_class_is_made_what_it_is_without_the_bot() -> None:
    with_the_bot, alone = (_run(_ALL, module).splitlines() for module in ("bot.copilot", "copilot"))
    assert len(alone) > 1000
    for ours, theirs in zip(with_the_bot, alone, strict=True):
        assert ours == theirs


def test_an_sdk_that_is_there_already_stays_as_it_is() -> None:
    before = sys.modules["copilot"]
    import_sdk()
    assert sys.modules["copilot"] is before


@pytest.fixture
def animal() -> Any:
    """A class like those of the SDK, not made yet."""

    class Animal:
        """Something that lives."""

        name: str
        legs: int = 4
        friends: list[str] = field(default_factory=list)
        age: int | None = field(default=None, kw_only=True)

    Animal.__module__ = "copilot.generated.rpc"
    return lazy_dataclass(Animal)


def test_its_first_object_makes_a_class(animal: Any) -> None:
    rex = animal("Rex", age=3)
    assert (rex.name, rex.legs, rex.friends, rex.age) == ("Rex", 4, [], 3)
    assert rex == animal("Rex", 4, [], age=3)
    assert rex == copy.deepcopy(rex)
    assert rex != animal("Tom")
    assert dataclasses.asdict(dataclasses.replace(rex, legs=3))["legs"] == 3
    assert repr(rex).endswith("Animal(name='Rex', legs=4, friends=[], age=3)")
    match rex:
        case animal(name, 4):
            assert name == "Rex"
        case _:
            pytest.fail("it is no animal with four legs")
    with pytest.raises(TypeError, match="name"):
        animal()


def test_the_fields_of_a_lazy_class_are_available(animal: Any) -> None:
    assert dataclasses.is_dataclass(animal)
    assert [it.name for it in dataclasses.fields(animal)] == ["name", "legs", "friends", "age"]


def test_a_subclass_has_its_fields(animal: Any) -> None:
    class Plain(animal):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__("plain")

    class Bird(animal):  # type: ignore[misc]
        """One that flies."""

        wings: int = 2

    Bird.__module__ = animal.__module__
    bird = lazy_dataclass(Bird)("Pip")
    assert (bird.name, bird.wings, Plain().name) == ("Pip", 2, "plain")


def test_threads_that_make_one_at_once_all_get_their_object(animal: Any) -> None:
    together = Barrier(THREADS)

    def born(number: int) -> str:
        together.wait(SECONDS)
        name: str = animal(str(number)).name
        return name

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(born, range(THREADS))) == [str(number) for number in range(THREADS)]


def test_what_is_not_generated_or_not_plain_is_made_at_once() -> None:
    class Own:
        x: int

    class Frozen:
        x: int

    Frozen.__module__ = "copilot.generated.rpc"
    made: list[Any] = [lazy_dataclass(Own), lazy_dataclass(frozen=True)(Frozen)]
    for it in made:
        assert isinstance(vars(it)["__dataclass_fields__"], dict)
