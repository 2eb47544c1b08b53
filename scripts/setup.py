"""Installs everything that Threadpilot needs into `.venv`, if it is not there: `make setup`.

    python3 scripts/setup.py            what the bot, the demo and the tests need of Python and npm
    python3 scripts/setup.py --bench    also what the bench compares the bot with
    python3 scripts/setup.py --tests    also what only the tests need, and --bench

Any Python from 3.11 on may run it; it uses the standard library only. Each step leaves a stamp with
its input. So a second run needs no network, and an interrupted one continues where it stopped. Exit
status: 0 done, 1 with a sentence that says what is missing and what to do.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import native_runtime
from steps import Fault, Stamps, alone, ask, digest, npm_ci, npm_wanted, run, say

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CONSTRAINTS = ROOT / "constraints.txt"
SHARE = VENV / "share" / "threadpilot"
RUNTIME = SHARE / "runtime"
"""The folder where `bot.copilot.install` expects the Copilot runtime."""
CONFORMANCE = VENV / "conformance"
PEERS = SHARE / "peers"
"""The folder of the Chat SDK bot's packages, where `bench.peers.programs` expects them."""
PEERS_WANTED = ROOT / "bench" / "peers" / "chat_sdk"
STAMPS = Stamps(SHARE / "stamps")

OLDEST_PYTHON = (3, 11)
BOLT_JS_WANTED = ROOT / "tests" / "conformance" / "echo-app"
"""The folder of an app on Slack's own framework for JavaScript, a test client of the emulator."""

AGAIN = "Then run `make setup` again: it goes on where it stopped."
PYTHON_TOO_OLD = (
    "Threadpilot needs Python 3.11 or newer, and this is {version}. "
    "Install one (Debian 12 or newer: `apt-get install python3 python3-venv`), or name one that "
    "you have: `make setup PYTHON=python3.12`."
)
NO_VENV_MODULE = (
    "This Python cannot make virtual environments. "
    f"On Debian: `apt-get install python3-venv`. {AGAIN}"
)
NOT_OURS = (
    "{venv} is not a virtual environment that this set-up may replace ({why}). "
    f"Move it away. {AGAIN}"
)
NO_NPM = (
    "npm is missing, which installs the Copilot runtime. On Debian: `apt-get install npm`. "
    "Or fetch the runtime without npm: `.venv/bin/python -m copilot download-runtime`. "
    f"{AGAIN}"
)
NO_NPM_FOR_TESTS = (
    "npm is missing, which installs Slack's Bolt for JavaScript for the tests. "
    "On Debian: `apt-get install npm`. Then run `make setup-tests` again."
)
NO_NPM_FOR_BENCH = (
    "npm is missing, which installs Vercel's Chat SDK for the bench. "
    "On Debian: `apt-get install npm`. Then run `make setup-bench` again."
)
NO_CHROMIUM = (
    "Chromium and its driver are missing, which the test of the emulator's page needs, and cannot "
    "be installed from here without root. Install them (Debian: `apt-get install chromium "
    "chromium-driver`). Then run `make setup-tests` again."
)
NOT_INSTALLED = "{what} could not be installed; the lines above say why. Is the network there? "


def main(arguments: Sequence[str]) -> int:
    """Run the missing steps; return the exit status."""
    try:
        check_python(sys.version_info[:3])
        with alone(Path(__file__)):
            make_venv()
            install_packages()
            install_runtime()
            if "--tests" in arguments:
                install_chromium()
                install_bolt_js()
            if "--bench" in arguments or "--tests" in arguments:
                install_peers()
    except Fault as fault:
        print(f"\n{fault}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. {AGAIN}", file=sys.stderr)
        return 130
    say("Everything is installed." if "--tests" in arguments else "Threadpilot is installed.")
    return 0


def check_python(version: Sequence[int]) -> None:
    """Raise a `Fault` if this Python is too old."""
    if tuple(version[:2]) < OLDEST_PYTHON:
        raise Fault(PYTHON_TOO_OLD.format(version=".".join(map(str, version))))


def make_venv() -> None:
    """Create a `.venv` whose Python runs and has pip; an incomplete one is repaired or replaced."""
    trouble = venv_trouble()
    if trouble is None:
        return
    if VENV.exists() or VENV.is_symlink():
        remove_venv(trouble)
    if ask([sys.executable, "-c", "import venv, ensurepip"]) is None:
        if not Path(sys.executable).is_relative_to("/usr/bin"):
            raise Fault(NO_VENV_MODULE)
        # Debian's own Python has this in a separate package.
        say("Installing python3-venv …")
        install_from_debian(["python3-venv"], NO_VENV_MODULE)
    say("Making .venv …")
    run([sys.executable, "-m", "venv", VENV], NO_VENV_MODULE)


def venv_trouble() -> str | None:
    """The reason why `.venv` cannot be used as it is, or None."""
    if not VENV.exists():
        return "it is a link to nothing" if VENV.is_symlink() else "there is none"
    version = ask([PYTHON, "-c", "import sys; print(*sys.version_info[:2], sys.prefix)"])
    if version is None:
        return "its Python does not run"
    major, minor, prefix = version.split(maxsplit=2)
    if (int(major), int(minor)) < OLDEST_PYTHON:
        return f"its Python is {major}.{minor}"
    if not Path(prefix).exists() or not VENV.samefile(prefix):
        return "its Python belongs to another place"
    if moved():
        return "it was made in another folder"
    if ask([PYTHON, "-m", "pip", "--version"]) is None:
        say(".venv has no working pip: restoring it …")
        if ask([PYTHON, "-m", "ensurepip", "--upgrade"], within=180) is None:
            return "it has no pip"
    return None


def moved() -> bool:
    """True if the commands in `.venv/bin` start the Python of another folder."""
    for name in ("threadpilot", "pip"):
        script = VENV / "bin" / name
        if script.is_file():
            first = script.read_bytes().partition(b"\n")[0].decode(errors="replace")
            started = Path(first.removeprefix("#!").strip())
            if started.name.startswith("python"):  # a path too long for #! begins with /bin/sh
                return not (started.exists() and started.parent.samefile(VENV / "bin"))
    return False


def remove_venv(trouble: str) -> None:
    """Remove an environment that is recognizably incomplete, and nothing else."""
    if VENV.is_symlink() or not VENV.is_dir():
        raise Fault(NOT_OURS.format(venv=VENV.name, why=trouble))
    began = {"bin", "include", "lib", "lib64", "share", "conformance"}
    if not (VENV / "pyvenv.cfg").exists() and not {path.name for path in VENV.iterdir()} <= began:
        raise Fault(NOT_OURS.format(venv=VENV.name, why="it holds other files"))
    say(f".venv cannot be used ({trouble}): replacing it …")
    shutil.rmtree(VENV)


def install_packages() -> None:
    """Install the Python packages of `constraints.txt`, each as the file with the hash there, and
    the command itself."""
    wanted = digest(CONSTRAINTS.read_text(encoding="utf-8"), project_tables(), VENV)
    if STAMPS.holds("packages", wanted) and (VENV / "bin" / "threadpilot").exists():
        return
    fault = NOT_INSTALLED.format(what="The Python packages") + AGAIN
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "-qq", "--no-deps"]
    with STAMPS.completing("packages", wanted):
        say("Installing the Python packages of constraints.txt …")
        # Nothing is built from source: the build tools would not be files of the list.
        ready_made = ["--require-hashes", "--only-binary", ":all:"]
        run([*pip, *ready_made, "--requirement", CONSTRAINTS], fault)
        # The build tools of the command are among the packages by now.
        run([*pip, "--no-build-isolation", "--editable", ROOT], fault)


def project_tables() -> str:
    """The parts of `pyproject.toml` that affect the installation, without the tools' settings."""
    import tomllib  # new in 3.11: an older Python is refused before

    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return repr([tables["build-system"], tables["project"]])


def install_runtime() -> None:
    """Install the Copilot runtime if the bot does not find one that the SDK has downloaded."""
    wanted = digest(npm_wanted(native_runtime.WANTED), native_runtime.KEPT, VENV)
    if STAMPS.holds("runtime", wanted) and native_runtime.installed(RUNTIME):
        return
    npm = shutil.which("npm")
    if npm is None:
        if runtime_is_found():
            return
        raise Fault(NO_NPM)
    with STAMPS.completing("runtime", wanted):
        fault = NOT_INSTALLED.format(what="The Copilot runtime") + AGAIN
        native_runtime.install(npm, SHARE / "runtime-fetched", RUNTIME, fault)
        # Left by earlier versions of this set-up: the whole package, and all its unpacked files.
        for old in (VENV / "lib" / "node_modules" / "@github", SHARE / "runtime-cache"):
            native_runtime.remove(old)


def runtime_is_found() -> bool:
    """True if the bot finds a runtime in one of its places."""
    find = "from bot.copilot.install import find_runtime; print(find_runtime(None))"
    return ask([PYTHON, "-c", find]) is not None


def install_chromium() -> None:
    """Install Debian's own browser and its driver, for the test of the emulator's page."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        say("Installing Chromium …")
        install_from_debian(["chromium", "chromium-driver"], NO_CHROMIUM)


def install_from_debian(packages: Sequence[str], otherwise: str) -> None:
    """Install Debian packages if this is possible without a password; else raise a `Fault`."""
    apt = shutil.which("apt-get")
    if apt is None:
        raise Fault(otherwise)
    root: list[str | Path] = []
    if os.geteuid() != 0:
        sudo = shutil.which("sudo")
        if sudo is None or ask([sudo, "-n", "true"]) is None:
            raise Fault(otherwise)
        root = [sudo, "-n"]
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run([*root, apt, "update", "-qq"], otherwise, quiet)
    install = [*root, apt, "install", "-qq", "--yes", "--no-install-recommends"]
    run([*install, *packages], otherwise, quiet)


def install_bolt_js() -> None:
    """Install Slack's Bolt for JavaScript in its own folder."""
    wanted = digest(npm_wanted(BOLT_JS_WANTED))
    if STAMPS.holds("bolt-js", wanted) and (CONFORMANCE / "node_modules" / "@slack").exists():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise Fault(NO_NPM_FOR_TESTS)
    with STAMPS.completing("bolt-js", wanted):
        say("Installing Bolt for JavaScript …")
        fault = NOT_INSTALLED.format(what="Bolt for JavaScript")
        npm_ci(npm, BOLT_JS_WANTED, CONFORMANCE, fault + "Then run `make setup-tests` again.")


def install_peers() -> None:
    """Install Vercel's Chat SDK and the Copilot SDK for JavaScript in their own folder, 50 MB.

    The runtime that the Copilot SDK would add (another 120 MB) is left out: ours is used, and the
    lock file does not list another one.
    """
    wanted = digest(npm_wanted(PEERS_WANTED))
    if STAMPS.holds("peers", wanted) and (PEERS / "node_modules" / "chat").exists():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise Fault(NO_NPM_FOR_BENCH)
    with STAMPS.completing("peers", wanted):
        say("Installing the Chat SDK …")
        fault = NOT_INSTALLED.format(what="The Chat SDK") + "Then run `make setup-bench` again."
        npm_ci(npm, PEERS_WANTED, PEERS, fault, "--omit=optional")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
