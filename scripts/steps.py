"""Provides the parts of the steps of `scripts/setup.py`: commands, stamps and faults.

Uses the standard library and old syntax only: it must run on an old Python far enough to report
that it is too old.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

INSTALL_SECONDS = 900.0
"""Timeout in seconds of one installing command; a slow network needs minutes, but not this long."""

NPM_FILES = ("package.json", "package-lock.json")

WAIT_FOR_OTHER_SECONDS = 900.0
"""Timeout in seconds for another set-up that runs in the same folder."""


class Fault(Exception):
    """The set-up cannot continue; the text says why and what to do."""


def say(text: str) -> None:
    """Print a text for the user at the terminal, at once also if the output goes to a file."""
    print(text, flush=True)


def run(
    command: Sequence[str | Path],
    fault: str,
    environment: Mapping[str, str] | None = None,
    within: float = INSTALL_SECONDS,
    show: bool = True,
) -> None:
    """Run a command and show its output, or else its errors only.

    Raises `Fault` with the text `fault` if it fails.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the commands are those of the steps
            [str(word) for word in command],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=None if show else subprocess.DEVNULL,
            timeout=within,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Fault(f"{fault} It took longer than {within:.0f} s.") from None
    except OSError as error:
        raise Fault(f"{fault} ({command[0]}: {error.strerror})") from None
    if done.returncode != 0:
        raise Fault(fault)


def ask(command: Sequence[str | Path], within: float = 60.0) -> str | None:
    """The standard output of a command, or None if it does not run or fails."""
    try:
        done = subprocess.run(  # noqa: S603 - the commands are those of the steps
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def npm_ci(npm: str, wanted: Path, into: Path, fault: str, *more: str) -> None:
    """Install the npm packages of the folder `wanted` into another one, without running any of
    them.

    Each must be the file with the hash in its `package-lock.json`, from any address. Raises `Fault`
    with the text `fault`, also if a file differs.
    """
    into.mkdir(parents=True, exist_ok=True)
    for name in NPM_FILES:
        (into / name).write_bytes((wanted / name).read_bytes())
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    run([npm, "ci", "--ignore-scripts", *quiet, *more, "--prefix", into], fault)


def npm_wanted(wanted: Path) -> str:
    """The files that define the result of `npm_ci`, for a stamp."""
    return "\n".join((wanted / name).read_text(encoding="utf-8") for name in NPM_FILES)


def digest(*parts: object) -> str:
    """A short name for exactly these parts."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:24]


class Stamps:
    """Records which steps are complete, and for which input."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def holds(self, step: str, wanted: str) -> bool:
        """True if the step was completed for exactly this input."""
        try:
            return (self._folder / step).read_text(encoding="ascii") == wanted
        except (OSError, UnicodeDecodeError):
            return False

    @contextlib.contextmanager
    def completing(self, step: str, wanted: str) -> Iterator[None]:
        """Stamp the step at the end: an interrupted step has no stamp."""
        stamp = self._folder / step
        self._folder.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        yield
        stamp.write_text(wanted, encoding="ascii")


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold the lock file while inside; wait, with a timeout, for another set-up of the same
    folder."""
    with lock.open("rb") as file:
        until = time.monotonic() + WAIT_FOR_OTHER_SECONDS
        if not _locked(file.fileno()):
            say("Another set-up is at work in this folder; waiting for it.")
            while not _locked(file.fileno()):
                if time.monotonic() > until:
                    raise Fault(
                        "The other set-up in this folder does not end. Stop it and try again."
                    )
                time.sleep(0.5)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
