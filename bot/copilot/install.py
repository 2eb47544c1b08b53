"""Where the Copilot runtime lies, and the folders and the environment that it gets.

The runtime is the program `copilot-runtime` of `@github/copilot` 1.0.102 and its library
`runtime.node` beside it. It needs no Node and nothing else of the package (measured). `make setup`
puts these files into the virtual environment.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bot.copilot.options import RuntimeOptions
from bot.copilot.sdk_compat import downloaded_runtime
from bot.errors import AgentError, AgentErrorKind

log = logging.getLogger(__name__)

RUNTIME_VERSION = "1.0.102"
"""The CLI that github-copilot-sdk 1.0.25 was made with."""
PROGRAM = "copilot-runtime"
LIBRARY = "runtime.node"
RUNTIME_FOLDER = Path("share", "threadpilot", "runtime")
"""Where `make setup` puts them, below the virtual environment."""

REMEDY = (
    "run `make setup` or, where npm is missing, `python -m copilot download-runtime`; "
    "or set COPILOT_CLI_PATH to a copilot-runtime"
)
_NOT_NATIVE = (
    "COPILOT_CLI_PATH names %s, which has no runtime.node beside it. Should it be the copilot "
    "command line tool: that needs about twice the memory and several times the processor time, "
    "and Threadpilot is not tested with it. Leave COPILOT_CLI_PATH out to use the runtime that "
    "`make setup` installs"
)

_INHERITED_VARIABLES = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
)
"""All that the runtime inherits: its tools would see everything else, the Slack tokens too."""


def find_runtime(explicit: Path | None, prefix: str = sys.prefix) -> Path:
    """The runtime's program: the chosen one, else the one in the virtual environment at `prefix`,
    else the one that the SDK has downloaded. Raises `AgentError` that names the remedy."""
    if explicit is not None:
        # Absolute: the runtime is started in a folder of its own.
        return _check_program(explicit.absolute())
    installed = Path(prefix) / RUNTIME_FOLDER / PROGRAM
    if installed.exists():
        return _check_program(installed)
    downloaded = downloaded_runtime()
    if downloaded is not None:
        return _check_program(downloaded)
    raise AgentError(AgentErrorKind.RUNTIME, f"the Copilot runtime is not installed: {REMEDY}")


def _check_program(path: Path) -> Path:
    if not path.is_file():
        raise AgentError(AgentErrorKind.RUNTIME, f"there is no Copilot runtime at {path}: {REMEDY}")
    if not os.access(path, os.X_OK):
        raise AgentError(
            AgentErrorKind.RUNTIME,
            f"the Copilot runtime at {path} may not be executed: `chmod +x` it, or {REMEDY}",
        )
    # A link may have any name; the program looks for its library where it really lies.
    program = path.resolve()
    if (program.parent / LIBRARY).is_file():
        return path
    if program.name == PROGRAM:
        raise AgentError(
            AgentErrorKind.RUNTIME,
            f"{LIBRARY} is missing beside the Copilot runtime {path}: {REMEDY}",
        )
    _warn_not_native(path)
    return path


@cache
def _warn_not_native(path: Path) -> None:
    """Once, however often it is started."""
    log.warning(_NOT_NATIVE, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeDirs:
    """The runtime's own folders, readable by nobody else: they hold what people wrote."""

    state: Path
    """Sessions and their memory (COPILOT_HOME)."""
    home: Path
    work: Path
    """Where the runtime runs; stays empty."""
    cache: Path
    """Where the command line tool unpacks itself, should COPILOT_CLI_PATH name one (235 MB); the
    native runtime leaves it empty."""


def make_runtime_dirs(data_dir: Path) -> RuntimeDirs:
    """Make what is missing. Raises `AgentError` when the data folder cannot be written."""
    root = data_dir / "copilot"
    folders = RuntimeDirs(
        state=root / "state", home=root / "home", work=root / "work", cache=root / "cache"
    )
    try:
        for folder in (root, folders.state, folders.home, folders.work, folders.cache):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
    except OSError as error:
        raise AgentError(
            AgentErrorKind.RUNTIME, f"the runtime's folder {root} cannot be made: {error.strerror}"
        ) from error
    return folders


def runtime_environment(
    options: RuntimeOptions, dirs: RuntimeDirs, model: str, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of the runtime. Keys go over the wire instead, never in here."""
    env = {name: inherited[name] for name in _INHERITED_VARIABLES if name in inherited}
    env["HOME"] = str(dirs.home)
    env["COPILOT_CACHE_HOME"] = str(dirs.cache)
    env["COPILOT_AUTO_UPDATE"] = "false"
    if options.base_url:
        # Offline: with a model server of one's own, GitHub is not called at all.
        env["COPILOT_OFFLINE"] = "true"
        env["COPILOT_PROVIDER_BASE_URL"] = options.base_url
        env["COPILOT_MODEL"] = model
    return env
