"""Where the Copilot runtime lies, and the folders and the environment that it gets.

The runtime is the native binary of `@github/copilot` 1.0.102, installed into the virtual
environment by `make setup`; it needs no Node to run.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.copilot.options import RuntimeOptions
from bot.copilot.sdk import downloaded_runtime
from bot.errors import AgentError, AgentFault

RUNTIME_VERSION = "1.0.102"
"""The CLI that github-copilot-sdk 1.0.25 was made with."""

REMEDY = (
    "run `make setup` or, where npm is missing, `python -m copilot download-runtime`; "
    "or set COPILOT_CLI_PATH to the runtime's binary"
)

_PASSED_ON = (
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
    """The runtime's binary: the chosen one, else the one in the virtual environment at `prefix`,
    else the one that the SDK has downloaded. Raises `AgentError` that names the remedy."""
    if explicit is not None:
        return _checked(explicit)
    for path in _installed(Path(prefix)):
        return _checked(path)
    downloaded = downloaded_runtime()
    if downloaded is not None:
        return _checked(downloaded)
    raise AgentError(AgentFault.RUNTIME, f"the Copilot runtime is not installed: {REMEDY}")


def _installed(prefix: Path) -> Iterator[Path]:
    """Where npm puts the binary: below its package, or hoisted beside it."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    binary = "copilot.exe" if sys.platform == "win32" else "copilot"
    for modules in (prefix / "lib" / "node_modules", prefix / "node_modules"):
        owner = modules / "@github"
        for scope in (owner / "copilot" / "node_modules" / "@github", owner):
            # "linux-x64" as well as "linuxmusl-x64"; npm installs the one that fits.
            yield from sorted(scope.glob(f"copilot-{sys.platform}*-{machine}/{binary}"))


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise AgentError(AgentFault.RUNTIME, f"there is no Copilot runtime at {path}: {REMEDY}")
    if not os.access(path, os.X_OK):
        raise AgentError(
            AgentFault.RUNTIME,
            f"the Copilot runtime at {path} may not be executed: `chmod +x` it, or {REMEDY}",
        )
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The runtime's own folders, readable by nobody else: they hold what people wrote."""

    state: Path
    """Sessions and their memory (COPILOT_HOME)."""
    home: Path
    work: Path
    """Where the runtime runs; stays empty."""
    cache: Path
    """The unpacked runtime, 235 MB; nothing of anybody's."""


def make_folders(data_dir: Path, prefix: str = sys.prefix) -> Folders:
    """Make what is missing. Raises `AgentError` when the data folder cannot be written."""
    root = data_dir / "copilot"
    shared = Path(prefix) / "share" / "threadpilot" / "runtime-cache"
    folders = Folders(
        state=root / "state",
        home=root / "home",
        work=root / "work",
        cache=shared if _writable(shared) else root / "cache",
    )
    try:
        for folder in (root, folders.state, folders.home, folders.work, folders.cache):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (root, folders.state, folders.home, folders.work):
            folder.chmod(0o700)
    except OSError as error:
        raise AgentError(
            AgentFault.RUNTIME, f"the runtime's folder {root} cannot be made: {error.strerror}"
        ) from error
    return folders


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def environment(
    options: RuntimeOptions, folders: Folders, model: str, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of the runtime. Keys go over the wire instead, never in here."""
    env = {name: inherited[name] for name in _PASSED_ON if name in inherited}
    env["HOME"] = str(folders.home)
    env["COPILOT_CACHE_HOME"] = str(folders.cache)
    env["COPILOT_AUTO_UPDATE"] = "false"
    if options.base_url:
        # Offline: with a model server of one's own, GitHub is not called at all.
        env["COPILOT_OFFLINE"] = "true"
        env["COPILOT_PROVIDER_BASE_URL"] = options.base_url
        env["COPILOT_MODEL"] = model
    return env
