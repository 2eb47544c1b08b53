"""What the steps of `scripts/setup.py` are made of: commands, stamps and faults.

Standard library only, and old syntax only: this has to run far enough on an old Python to say that
it is too old.
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
"""How long one installing command may take; a slow network needs minutes, none needs this."""

NPM_FILES = ("package.json", "package-lock.json")

WAIT_FOR_OTHER_SECONDS = 900.0
"""How long to wait for another set-up that is at work in the same folder."""


class Fault(Exception):
    """The set-up cannot go on; the text says why and gives a way out."""


def say(text: str) -> None:
    """Tell the person at the terminal, at once also where output goes to a file."""
    print(text, flush=True)


def run(
    command: Sequence[str | Path],
    fault: str,
    environment: Mapping[str, str] | None = None,
    within: float = INSTALL_SECONDS,
    show: bool = True,
) -> None:
    """Run a command; what it writes is shown, or else its errors only. Raises `Fault` with
    `fault` when it fails."""
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
    """What a command writes to standard output, or None when it does not run or fails."""
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
    """Install the npm packages of the folder `wanted` into another one: each the very file whose
    hash stands in its `package-lock.json`, wherever it comes from. Nothing of them is run. Raises
    `Fault` with `fault`, also where a file is another one."""
    into.mkdir(parents=True, exist_ok=True)
    for name in NPM_FILES:
        (into / name).write_bytes((wanted / name).read_bytes())
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    run([npm, "ci", "--ignore-scripts", *quiet, *more, "--prefix", into], fault)


def npm_wanted(wanted: Path) -> str:
    """What `npm_ci` installs, for a stamp."""
    return "\n".join((wanted / name).read_text(encoding="utf-8") for name in NPM_FILES)


def digest(*parts: object) -> str:
    """A short name for exactly these parts."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:24]


class Stamps:
    """Which steps are complete, and for what was asked when they were."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def holds(self, step: str, wanted: str) -> bool:
        """Whether the step was completed for exactly what is wanted."""
        try:
            return (self._folder / step).read_text(encoding="ascii") == wanted
        except (OSError, UnicodeDecodeError):
            return False

    @contextlib.contextmanager
    def completing(self, step: str, wanted: str) -> Iterator[None]:
        """Stamp the step at the end: one that is interrupted half-way has no stamp."""
        stamp = self._folder / step
        self._folder.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        yield
        stamp.write_text(wanted, encoding="ascii")


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold the lock file while inside; waits, bounded, for another set-up of the same folder."""
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
