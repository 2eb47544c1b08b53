"""Checks the vocabulary of CONTRIBUTING.md: banned words, names, docstrings, method owners."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.test_habits import ROOT, committed

WORDS_A_SENTENCE = 25
"""Maximum number of words in a sentence of a docstring or comment."""
OWNERS_A_NAME = 3
"""Maximum number of unrelated classes in `bot/` with the same public method name."""
OWNED_BY_MANY = {"close"}
"""Method names that the language's own conventions give to every resource."""
NOUNS = {"formatting", "tracing", "rendering", "typing", "string"}
"""Words that end like a gerund but are nouns of the field."""

BANNED_WORDS = re.compile(
    r"\b(?:in charge|anew|tak(?:e|es|en|ing) up|took up|hears?|heard|hearing|told|tells?|telling"
    r"|stands?|stood|the story|doors?|ears?|desk|feet|foot|of which|in vain"
    r"|on (?:its|their|the) way|for ever|whisper(?:s|ed)?|errands?|asides?|verbs?"
    r"|somebody|someone|whoever|those who|nobody|no one|anybody|anyone|everybody|everyone|people"
    r"|whatever|meanwhile|besides|lets? go|given up|tak(?:e|es|en) back|sandbox)\b",
    re.IGNORECASE,
)
BANNED_NAMES = re.compile(
    r"(?:^|_)(?:desk|feet|foot|told|hears?|heard|hearing|ears?|whisper\w*|asides?|errands?|verbs?"
    r"|farewells?|narrowing|tending|watching|quoting|listening|deaf|defang\w*|parked|board|drawn"
    r"|anew|somebody|nobody|whoever|sandbox|orders|said|asked|doors?)(?:_|$)"
)
THIRD_PERSON = r"[A-Z][a-z-]+s\b.*\."
PIECES_OF_A_NAME = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")


@cache
def sources() -> dict[str, str]:
    """Content of each committed Python file by its name, without this one, which has the lists."""
    files = (file for file in committed() if file.suffix == ".py" and file != Path(__file__))
    return {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}


@cache
def parsed(name: str) -> ast.Module:
    return ast.parse(sources()[name])


def python_files(*folders: str) -> list[str]:
    """The names of the committed Python files below these folders."""
    return [name for name in sources() if name.startswith(folders)]


@cache
def prose_of(file: str) -> tuple[tuple[int, str], ...]:
    """Line and text of each docstring and comment of a module."""
    return tuple(_prose_of(file))


def _prose_of(file: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(parsed(file)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text
    for token in tokenize.generate_tokens(io.StringIO(sources()[file]).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith(("# noqa", "# type:")):
            yield token.start[0], token.string


def without_quotes(text: str) -> str:
    """The text without code and quotations, which may hold any word."""
    return re.sub(r"`[^`\n]*`", "x", re.sub(r'"[^"\n]*"', "x", text))


def banned_in(line_number: int, text: str) -> Iterator[tuple[int, str]]:
    """Line and word of each banned word in a text."""
    for offset, line in enumerate(without_quotes(text).split("\n")):
        for match in BANNED_WORDS.finditer(line):
            yield line_number + offset, match.group(0)


def test_docstrings_and_comments_use_the_words_of_the_field() -> None:
    found = [
        f"{name}:{line}: {word}"
        for name in sources()
        for start, text in prose_of(name)
        for line, word in banned_in(start, text)
    ]
    assert found == [], "say it in the words of CONTRIBUTING.md's glossary"


def test_documents_use_the_words_of_the_field() -> None:
    found = []
    for file in committed():
        if file.suffix == ".md":
            text = re.sub(r"(?ms)^```.*?^```", _blank, file.read_text(encoding="utf-8"))
            found += [
                f"{file.relative_to(ROOT).as_posix()}:{line}: {word}"
                for line, word in banned_in(1, text)
            ]
    assert found == [], "say it in the words of CONTRIBUTING.md's glossary"


def _blank(block: re.Match[str]) -> str:
    return "\n" * block.group(0).count("\n")


def names_in(file: str) -> Iterator[tuple[int, str]]:
    """Line and name of everything that a module defines or assigns."""
    for node in ast.walk(parsed(file)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.ClassDef(name=name) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name


def test_names_use_the_words_of_the_field() -> None:
    found = []
    for file in sources():
        for line, name in names_in(file):
            pieces = name if name.islower() else "_".join(PIECES_OF_A_NAME.findall(name)).lower()
            is_test = file.startswith("tests/") and name.startswith("test_")
            if BANNED_NAMES.search(pieces) and not is_test:
                found.append(f"{file}:{line}: {name}")
    assert found == [], "name it in the words of CONTRIBUTING.md's glossary"


def test_no_module_is_named_by_a_gerund() -> None:
    gerunds = [
        name
        for name in python_files("bot/", "slack_emulator/")
        if Path(name).stem.endswith("ing") and Path(name).stem not in NOUNS
    ]
    assert gerunds == [], "a module is a noun of the field"


@pytest.mark.parametrize("folder", ["bot/", "slack_emulator/", "bench/", "scripts/"])
def test_a_module_docstring_says_in_one_line_what_the_module_does(folder: str) -> None:
    """With a verb in the third person; a package may be a noun phrase."""
    wrong = []
    for name in python_files(folder):
        first = (ast.get_docstring(parsed(name)) or "").split("\n")[0]
        is_package = name.endswith("__init__.py")
        if sources()[name].strip() and not re.fullmatch(
            r"[A-Z].*\." if is_package else THIRD_PERSON, first
        ):
            wrong.append(f"{name}: {first}")
    assert wrong == []


def sentences_of(text: str) -> Iterator[str]:
    """The sentences of a docstring; indented examples are none."""
    plain = re.sub(r"(?m)^\s*(?:>>>|\$|    ).*$", ".", without_quotes(text))
    yield from re.split(r"(?<=[.!?:;])\s+|\n\s*\n|\n\s*[-*|] |→", plain)


def test_no_sentence_is_longer_than_a_reader_can_keep() -> None:
    long = [
        f"{name}:{line}: {' '.join(sentence.split())[:60]}…"
        for name in sources()
        for line, text in prose_of(name)
        for sentence in sentences_of(text)
        if len(re.findall(r"[\w'’-]+", sentence)) > WORDS_A_SENTENCE
    ]
    assert long == [], f"at most {WORDS_A_SENTENCE} words a sentence"


class Families:
    """The classes of `bot/`, grouped by inheritance and by the ports that they implement."""

    def __init__(self) -> None:
        self.methods: dict[str, set[str]] = {}
        self._bases: dict[str, set[str]] = {}
        for file in python_files("bot/"):
            for node in ast.walk(parsed(file)):
                if isinstance(node, ast.ClassDef):
                    self._add(node)
        self._ports = {name for name, bases in self._bases.items() if "Protocol" in bases}

    def _add(self, node: ast.ClassDef) -> None:
        methods = {
            each.name
            for each in node.body
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        bases = {name.id for name in node.bases if isinstance(name, ast.Name)}
        self.methods[node.name] = self.methods.get(node.name, set()) | methods
        self._bases[node.name] = self._bases.get(node.name, set()) | bases

    def _all_methods(self, name: str) -> set[str]:
        return self.methods.get(name, set()).union(
            *(self._all_methods(base) for base in self._bases.get(name, ()))
        )

    def _related(self, one: str, other: str) -> bool:
        if other in self._bases[one] or one in self._bases[other]:
            return True
        if self._bases[one] & self._bases[other] & self.methods.keys():
            return True
        ports = [port for port in (one, other) if port in self._ports] or self._ports
        return any(
            self.methods[port] <= self._all_methods(one)
            and self.methods[port] <= self._all_methods(other)
            for port in ports
            if self.methods[port]
        )

    def count(self, owners: set[str], method: str) -> int:
        """Number of families among the owners of a method."""
        families: list[set[str]] = []
        for owner in sorted(owners):
            own = [
                family
                for family in families
                if any(
                    self._related(owner, member) and method in self._all_methods(member)
                    for member in family
                )
            ]
            families = [family for family in families if family not in own]
            families.append({owner}.union(*own))
        return len(families)


def test_a_method_name_leads_to_few_places() -> None:
    families = Families()
    owners: dict[str, set[str]] = defaultdict(set)
    for name, methods in families.methods.items():
        for method in methods:
            if not method.startswith("_") and method not in OWNED_BY_MANY:
                owners[method].add(name)
    many = {
        method: sorted(classes)
        for method, classes in owners.items()
        if len(classes) > OWNERS_A_NAME and families.count(classes, method) > OWNERS_A_NAME
    }
    assert many == {}, f"a reader who searches for it finds more than {OWNERS_A_NAME} meanings"
