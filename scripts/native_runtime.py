"""Installs the Copilot runtime for `make setup`: two files out of npm's package.

npm has the runtime inside the command line tool `copilot`, a single file of 189 MB that unpacks 235
MB more. The bot runs only the program `copilot-runtime` and its library of it. Everything that the
bot relies on works without the rest of the package (measured).

Uses the standard library only, like `steps`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from steps import Fault, npm_ci, run, say

COPILOT_CLI = "@github/copilot@1.0.102"
"""The package of the runtime that belongs to the pinned SDK; a test compares the two."""
WANTED = Path(__file__).resolve().parent / "runtime"
"""The lock file with the hash of the package."""
KEPT = (
    ("prebuilds/{platform}/copilot-runtime", "copilot-runtime"),
    ("prebuilds/{platform}/runtime.node", "runtime.node"),
    ("LICENSE.md", "LICENSE.md"),
)
"""The files that are kept of the unpacked tool, with their places: the program expects its library
beside itself."""

NO_PROGRAM = (
    "The Copilot runtime is installed, but has no program for this machine. "
    "It exists for Linux and macOS on x64 and arm64."
)
DOES_NOT_UNPACK = (
    "The Copilot runtime could not be unpacked; the lines above say why. Then run `make setup` "
    "again: it repeats this step."
)
UNPACK_SECONDS = 120.0


def installed(folder: Path) -> bool:
    """True if all files that are kept are in the folder."""
    return all((folder / name).is_file() for _, name in KEPT)


def install(npm: str, fetched: Path, folder: Path, fault: str) -> None:
    """Install the runtime into `folder`, through the folder `fetched`, which is removed afterwards.

    Raises `Fault`: with the text `fault` if npm fails.
    """
    say(f"Installing the Copilot runtime {COPILOT_CLI} …")
    remove(fetched)
    try:
        npm_ci(npm, WANTED, fetched, fault)
        _keep(_unpacked(fetched), fetched / "kept")
        remove(folder)
        (fetched / "kept").replace(folder)
    finally:
        remove(fetched)


def remove(path: Path) -> None:
    """Remove a folder with its contents, if it exists."""
    if path.exists():
        shutil.rmtree(path)


def _unpacked(fetched: Path) -> Path:
    """The folder of the tool's own files. The tool unpacks them at its first start, for which
    `--version` is enough."""
    packages = fetched / "node_modules" / "@github"
    # npm puts the package of this machine inside the general one, or beside it.
    tools = [
        *packages.glob("copilot-*/copilot"),
        *packages.glob("copilot/node_modules/@github/copilot-*/copilot"),
    ]
    if not tools:
        raise Fault(NO_PROGRAM)
    cache = fetched / "unpacked"
    own = {"COPILOT_CACHE_HOME": str(cache), "COPILOT_AUTO_UPDATE": "false"}
    run([tools[0], "--version"], DOES_NOT_UNPACK, own, within=UNPACK_SECONDS, show=False)
    versions = sorted(cache.glob("pkg/*/*/prebuilds"))
    if not versions:
        raise Fault(NO_PROGRAM)
    return versions[0].parent


def _keep(unpacked: Path, kept: Path) -> None:
    platform = next((unpacked / "prebuilds").iterdir()).name
    kept.mkdir()
    for path, name in KEPT:
        source = unpacked / path.format(platform=platform)
        if not source.is_file():
            raise Fault(NO_PROGRAM)
        source.replace(kept / name)
