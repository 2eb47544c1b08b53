"""Writes the hashes of `constraints.txt`: `.venv/bin/python -m scripts.pin`.

The versions are those in the file: to raise or add one, change or add its `name==version` line
first. For each machine that Threadpilot is installed on, pip itself is asked for the file that it
would use. The SHA-256 of that file is written. A source package is never used, because its build
tools would not be pinned. The script needs the network and some minutes.

Exit status: 0, or 1 with the packages that have no file for one of the machines; the hashes found
are written in both cases.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONSTRAINTS: Final = Path(__file__).resolve().parent.parent / "constraints.txt"
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
GLIBCS: Final = (39, 36, 28, 17)
"""Versions of glibc, the newest first. An older glibc may use another file (Debian 12 has 2.36)."""
MACS: Final = {"arm64": ("15_0", "14_0"), "x86_64": ("14_0",)}
_OLDEST_GLIBC: Final = 5
_SECONDS: Final = 1_200.0
_PIN: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([0-9][A-Za-z0-9.]*)")
_NONE_FITS: Final = re.compile(r"No matching distribution found for ([^= ]+)==")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The properties by which pip chooses a file."""

    python: str
    platforms: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"Python {self.python} on {self.platforms[0]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The file of one package that pip chooses."""

    sha256: str
    everywhere: bool
    """True if it is the same on every machine."""


def main() -> int:
    """Run the command; return its exit status."""
    with tempfile.TemporaryDirectory() as folder:
        return pin(Path(folder))


def pin(cache: Path) -> int:
    """Ask pip and write the file; return the exit status."""
    pins = pins_of(CONSTRAINTS.read_text(encoding="utf-8"))
    found: dict[str, set[str]] = {name: set() for name in pins}
    special: set[str] = set()
    missing: list[str] = []
    first, others = rounds()
    for machine in (*first, *others):
        # A file for all of these few machines is the same on the others: no need to ask again.
        wanted = pins if machine in first else {name: pins[name] for name in sorted(special)}
        taken, without = taken_on(machine, wanted, cache)
        missing += [f"{name} has no file for {machine.name}" for name in without]
        for name, file in taken.items():
            found[name].add(file.sha256)
        special |= {name for name, file in taken.items() if not file.everywhere}
        print(f"{machine.name}: {len(taken)} files", flush=True)
    CONSTRAINTS.write_text(written(pins, found), encoding="utf-8")
    print(*missing, sep="\n", end="", file=sys.stderr)
    return 1 if missing else 0


def pins_of(text: str) -> dict[str, str]:
    """The version of each pinned package, by its name."""
    return dict(_PIN.findall(text))


def rounds() -> tuple[list[Machine], list[Machine]]:
    """Every machine that Threadpilot is installed on; the first list has one of each kind."""
    first: list[Machine] = []
    others: list[Machine] = []
    for python in PYTHONS:
        for newest, *older in kinds():
            ends = python in (PYTHONS[0], PYTHONS[-1])
            (first if ends else others).append(Machine(python=python, platforms=newest))
            others += [Machine(python=python, platforms=each) for each in older]
    return first, others


def kinds() -> list[list[tuple[str, ...]]]:
    """The platforms of each system and chip, the newest first."""
    linuxes = [[linux(chip, glibc) for glibc in GLIBCS] for chip in ("x86_64", "aarch64")]
    macs = [[mac(chip, version) for version in versions] for chip, versions in MACS.items()]
    return linuxes + macs


def mac(chip: str, version: str) -> tuple[str, ...]:
    """The platform of a Mac with that version; pip knows which others fit."""
    return (f"macosx_{version}_{chip}",)


def linux(chip: str, glibc: int) -> tuple[str, ...]:
    """The platforms of a Linux with glibc 2.`glibc`, the best first."""
    old = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
    names = [
        name
        for minor in range(glibc, _OLDEST_GLIBC - 1, -1)
        for name in (f"manylinux_2_{minor}", old.get(minor))
        if name
    ]
    return (*(f"{name}_{chip}" for name in names), f"linux_{chip}")


def taken_on(
    machine: Machine, pins: Mapping[str, str], cache: Path
) -> tuple[dict[str, Taken], list[str]]:
    """The file of each package that pip chooses on a machine, and the packages without one."""
    left = dict(pins)
    without: list[str] = []
    while left:
        wanted = [f"{name}=={version}" for name, version in left.items()]
        report, complaint = ask_pip(machine, wanted, cache)
        if report is not None:
            return _files(report, left), without
        none = _NONE_FITS.search(complaint)
        if none is None or none[1] not in left:
            raise SystemExit(complaint)
        without.append(none[1])
        del left[none[1]]
    return {}, without


def ask_pip(
    machine: Machine, wanted: Sequence[str], cache: Path
) -> tuple[dict[str, object] | None, str]:
    """The report of what pip would install, or None and its error. `cache` keeps the files that pip
    reads: many machines use the same ones."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(  # noqa: S603 - the pins of this project
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps"),
                *("--ignore-installed", "--only-binary", ":all:", "--target", folder),
                *("--cache-dir", str(cache)),
                *("--implementation", "cp", "--python-version", machine.python),
                *(word for name in machine.platforms for word in ("--platform", name)),
                *("--report", str(report), *wanted),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            return None, done.stderr
        return json.loads(report.read_text(encoding="utf-8")), ""


def _files(report: Mapping[str, object], pins: Mapping[str, str]) -> dict[str, Taken]:
    """The chosen files, by the names under which the packages are pinned."""
    pinned = {_plain(name): name for name in pins}
    installed = report["install"]
    assert isinstance(installed, list)  # noqa: S101 - pip's own format, version 1
    return {
        pinned[_plain(each["metadata"]["name"])]: Taken(
            sha256=each["download_info"]["archive_info"]["hashes"]["sha256"],
            everywhere=each["download_info"]["url"].endswith("-none-any.whl"),
        )
        for each in installed
    }


def _everywhere(taken: Taken | None) -> bool:
    return taken is not None and taken.everywhere


def _plain(name: str) -> str:
    """The normalized name: names that differ in case and dashes only are one package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def written(pins: Mapping[str, str], found: Mapping[str, set[str]]) -> str:
    """The text of the whole file, sorted by name."""
    entries = []
    for name in sorted(pins, key=str.lower):
        hashes = [f"--hash=sha256:{sha256}" for sha256 in sorted(found[name])]
        entries.append(" \\\n    ".join([f"{name}=={pins[name]}", *hashes]))
    return "\n".join([*entries, ""])


if __name__ == "__main__":
    sys.exit(main())
