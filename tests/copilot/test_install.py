"""Where the runtime is found, and what it is given."""

from __future__ import annotations

import platform
import stat
import sys
from pathlib import Path

import pytest

from bot.copilot import install
from bot.copilot.install import environment, find_runtime, make_folders
from bot.copilot.options import RuntimeOptions
from bot.errors import AgentError, AgentFault

MACHINE = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
PACKAGE = f"copilot-{sys.platform}-{MACHINE}"


def binary_in(folder: Path) -> Path:
    """Something executable, named like the runtime."""
    folder.mkdir(parents=True)
    binary = folder / "copilot"
    binary.write_text("#!/bin/sh\n")
    binary.chmod(0o755)
    return binary


@pytest.mark.parametrize(
    "layout",
    [
        f"lib/node_modules/@github/copilot/node_modules/@github/{PACKAGE}",
        f"lib/node_modules/@github/{PACKAGE}",
        f"node_modules/@github/{PACKAGE}",
    ],
    ids=["nested", "hoisted", "not global"],
)
def test_the_installed_runtime_is_found_wherever_npm_puts_it(tmp_path: Path, layout: str) -> None:
    """npm nests the platform's package, or hoists it."""
    binary = binary_in(tmp_path / layout)
    assert find_runtime(None, str(tmp_path)) == binary


def test_another_machines_runtime_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would not run."""
    monkeypatch.setattr(install, "downloaded_runtime", lambda: None)
    binary_in(tmp_path / "lib/node_modules/@github/copilot-other-x64")
    with pytest.raises(AgentError, match="make setup"):
        find_runtime(None, str(tmp_path))


def test_the_chosen_runtime_comes_first(tmp_path: Path) -> None:
    """COPILOT_CLI_PATH overrules what is installed."""
    binary_in(tmp_path / f"lib/node_modules/@github/{PACKAGE}")
    chosen = binary_in(tmp_path / "mine")
    assert find_runtime(chosen, str(tmp_path)) == chosen


def test_the_downloaded_runtime_is_the_last_resort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where npm is missing, the SDK's own download does."""
    from copilot._cli_version import get_runtime_platform

    monkeypatch.setenv("COPILOT_CLI_EXTRACT_DIR", str(tmp_path))
    monkeypatch.setenv("COPILOT_SKIP_CLI_DOWNLOAD", "1")
    bundle = tmp_path / "prebuilds" / get_runtime_platform()
    binary_in(bundle)
    for name in ("copilot-runtime", "runtime.node", ".hostless-runtime-assets-v2"):
        (bundle / name).write_text("x")
        (bundle / name).chmod(0o755)
    assert find_runtime(None, str(tmp_path / "nothing")) == bundle / "copilot-runtime"


def test_a_missing_runtime_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not installed at all, or not where COPILOT_CLI_PATH says."""
    monkeypatch.setattr(install, "downloaded_runtime", lambda: None)
    for explicit in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(AgentError, match="make setup") as caught:
            find_runtime(explicit, str(tmp_path))
        assert caught.value.fault is AgentFault.RUNTIME
        assert "make" not in caught.value.sentence, "people in Slack cannot install anything"


def test_a_runtime_that_may_not_be_executed_says_so(tmp_path: Path) -> None:
    """With the remedy."""
    plain = tmp_path / "copilot"
    plain.write_text("")
    with pytest.raises(AgentError, match="chmod"):
        find_runtime(plain)


def test_the_folders_are_for_the_bot_alone(tmp_path: Path) -> None:
    """Also when they were there before, open to everybody."""
    loose = tmp_path / "data" / "copilot" / "state"
    loose.mkdir(parents=True, mode=0o755)
    folders = make_folders(tmp_path / "data", prefix=str(tmp_path / "venv"))
    for folder in (folders.state, folders.home, folders.work, folders.cache):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folders.state == loose
    assert folders.cache.is_relative_to(tmp_path / "venv"), "shared by all data folders"


def test_the_cache_goes_to_the_data_folder_when_the_environment_is_read_only(
    tmp_path: Path,
) -> None:
    """A virtual environment that cannot be written is no reason not to start."""
    (tmp_path / "venv").write_text("not even a folder")
    folders = make_folders(tmp_path / "data", prefix=str(tmp_path / "venv"))
    assert folders.cache.is_relative_to(tmp_path / "data")


def test_the_environment_is_minimal(tmp_path: Path) -> None:
    """Tools of the runtime would see everything in it."""
    inherited = {
        "PATH": "/bin",
        "HTTPS_PROXY": "http://proxy",
        "SLACK_BOT_TOKEN": "xoxb-1",
        "MODEL_API_KEY": "sk-1",
        "COPILOT_GITHUB_TOKEN": "ghp_1",
        "HOME": "/home/me",
    }
    folders = make_folders(tmp_path, prefix=str(tmp_path / "venv"))
    options = RuntimeOptions(data_dir=tmp_path, base_url="http://localhost:1/v1", api_key="sk-1")
    env = environment(options, folders, "some-model", inherited)
    assert set(env) == {
        "PATH",
        "HTTPS_PROXY",
        "HOME",
        "COPILOT_CACHE_HOME",
        "COPILOT_AUTO_UPDATE",
        "COPILOT_OFFLINE",
        "COPILOT_PROVIDER_BASE_URL",
        "COPILOT_MODEL",
    }
    github = environment(
        RuntimeOptions(data_dir=tmp_path, github_token="ghp_1"), folders, "", inherited
    )
    assert "COPILOT_OFFLINE" not in github, "GitHub's models are not on this machine"


def test_options_do_not_show_their_secrets(tmp_path: Path) -> None:
    """Neither themselves nor in foreign text."""
    options = RuntimeOptions(data_dir=tmp_path, api_key="sk-secret", github_token="ghp_secret")
    assert "secret" not in repr(options)
    shown = options.without_secrets("key sk-secret\nand ghp_secret " + "x" * 10_000)
    assert "secret" not in shown
    assert "\n" not in shown
    assert len(shown) < 500
