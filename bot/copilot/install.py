"""Finds the Copilot runtime, creates its folders, and builds its environment.

The runtime is the program `copilot-runtime` of `@github/copilot` 1.0.102 with its library
`runtime.node` beside it. It needs no Node and nothing else of the package (measured). `make setup`
copies these files into the virtual environment.
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
"""The CLI version that github-copilot-sdk 1.0.25 was built with."""
PROGRAM = "copilot-runtime"
LIBRARY = "runtime.node"
RUNTIME_FOLDER = Path("share", "threadpilot", "runtime")
"""The folder of these files, relative to the virtual environment."""

REMEDY = (
    "run `make setup` or, where npm is missing, `python -m copilot download-runtime`; "
    "or set COPILOT_CLI_PATH to a copilot-runtime"
)
_NOT_NATIVE = (
    "COPILOT_CLI_PATH names %s, which has no runtime.node beside it. The copilot command line tool "
    "needs about twice the memory and several times the processor time, and Threadpilot is not "
    "tested with it. Remove COPILOT_CLI_PATH to use the runtime that `make setup` installs"
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
"""The only variables that the runtime inherits. Its tools could read all others, such as the Slack
tokens."""


def find_runtime(explicit: Path | None, prefix: str = sys.prefix) -> Path:
    """The path of the runtime's program.

    It is `explicit`, else the one in the virtual environment at `prefix`, else the one that the SDK
    has downloaded. Raises `AgentError` that says how to fix it.
    """
    if explicit is not None:
        # Absolute, because the runtime is started in another folder.
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
    # A link may have any name. The program looks for its library in its real folder.
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
    """Log the warning once for each path."""
    log.warning(_NOT_NATIVE, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeDirs:
    """The runtime's folders, which only the bot's account can read: they hold users' messages."""

    state: Path
    """Sessions and their history (COPILOT_HOME)."""
    home: Path
    work: Path
    """The runtime's working directory. It stays empty."""
    cache: Path
    """The folder into which the command line tool unpacks itself (235 MB), if COPILOT_CLI_PATH
    names it. The native runtime leaves it empty."""


def make_runtime_dirs(data_dir: Path) -> RuntimeDirs:
    """Create the missing folders. Raises `AgentError` if the data folder is not writable."""
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
            AgentErrorKind.RUNTIME,
            f"the runtime's folder {root} cannot be created: {error.strerror}",
        ) from error
    return folders


def runtime_environment(
    options: RuntimeOptions, dirs: RuntimeDirs, model: str, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The complete environment of the runtime. It has no keys: the SDK sends them over the wire."""
    env = {name: inherited[name] for name in _INHERITED_VARIABLES if name in inherited}
    env["HOME"] = str(dirs.home)
    env["COPILOT_CACHE_HOME"] = str(dirs.cache)
    env["COPILOT_AUTO_UPDATE"] = "false"
    if options.base_url:
        # Offline: with the operator's own model server, the runtime never calls GitHub.
        env["COPILOT_OFFLINE"] = "true"
        env["COPILOT_PROVIDER_BASE_URL"] = options.base_url
        env["COPILOT_MODEL"] = model
    return env
