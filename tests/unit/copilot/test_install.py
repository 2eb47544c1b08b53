"""Where the runtime is found, and what it is given."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from bot.copilot import install
from bot.copilot.install import (
    LIBRARY,
    PROGRAM,
    RUNTIME_FOLDER,
    find_runtime,
    make_runtime_dirs,
    runtime_environment,
)
from bot.copilot.options import RuntimeOptions
from bot.errors import AgentError, AgentErrorKind


def runtime_in(folder: Path) -> Path:
    """Something executable, named like the runtime, with its library."""
    folder.mkdir(parents=True)
    (folder / LIBRARY).write_text("x")
    program = folder / PROGRAM
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return program


def test_the_runtime_that_make_setup_installs_is_the_native_one_and_starts_nothing_else() -> None:
    """Two files of the package are there, and the licence."""
    folder = Path(sys.prefix) / RUNTIME_FOLDER
    assert find_runtime(None) == folder / PROGRAM
    files = {path for path in folder.rglob("*") if path.is_file()}
    assert files == {folder / PROGRAM, folder / LIBRARY, folder / "LICENSE.md"}


def test_the_chosen_runtime_comes_first(tmp_path: Path) -> None:
    """COPILOT_CLI_PATH overrules what is installed."""
    runtime_in(tmp_path / RUNTIME_FOLDER)
    chosen = runtime_in(tmp_path / "mine")
    assert find_runtime(chosen, str(tmp_path)) == chosen


def test_a_chosen_runtime_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is started in a folder of its own, where a relative path would lead nowhere."""
    chosen = runtime_in(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert find_runtime(Path("mine", PROGRAM)) == chosen


def test_a_runtime_without_its_library_is_refused(tmp_path: Path) -> None:
    """It could not start, and would not say what is missing."""
    chosen = runtime_in(tmp_path / "mine")
    (tmp_path / "mine" / LIBRARY).unlink()
    with pytest.raises(AgentError, match=r"runtime\.node is missing beside .*make setup"):
        find_runtime(chosen)


def test_a_link_to_a_runtime_is_as_good_as_the_runtime(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The library lies beside what the link leads to."""
    link = tmp_path / "copilot"
    link.symlink_to(runtime_in(tmp_path / "mine"))
    assert find_runtime(link) == link
    assert caplog.text == ""


def test_the_command_line_tool_is_run_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line, which says what it costs and what to do."""
    tool = runtime_in(tmp_path / "tool").rename(tmp_path / "copilot")
    assert find_runtime(tool) == tool
    [warning] = caplog.messages
    assert "twice the memory" in warning
    assert "Remove COPILOT_CLI_PATH" in warning


def test_the_downloaded_runtime_is_the_last_resort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where npm is missing, the SDK's own download does."""
    from copilot._cli_version import get_runtime_platform

    monkeypatch.setenv("COPILOT_CLI_EXTRACT_DIR", str(tmp_path))
    monkeypatch.setenv("COPILOT_SKIP_CLI_DOWNLOAD", "1")
    bundle = tmp_path / "prebuilds" / get_runtime_platform()
    runtime_in(bundle)
    for name in ("copilot", ".hostless-runtime-assets-v2"):
        (bundle / name).write_text("x")
        (bundle / name).chmod(0o755)
    assert find_runtime(None, str(tmp_path / "nothing")) == bundle / "copilot-runtime"


def test_a_missing_runtime_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not installed at all, or not where COPILOT_CLI_PATH says."""
    monkeypatch.setattr(install, "downloaded_runtime", lambda: None)
    for explicit in (None, tmp_path / "nowhere", tmp_path):
        with pytest.raises(AgentError, match="make setup") as caught:
            find_runtime(explicit, str(tmp_path))
        assert caught.value.kind is AgentErrorKind.RUNTIME
        assert "make" not in caught.value.user_message, "users in Slack cannot install anything"


def test_a_runtime_that_may_not_be_executed_says_so(tmp_path: Path) -> None:
    """With the remedy."""
    plain = tmp_path / "copilot"
    plain.write_text("")
    with pytest.raises(AgentError, match="chmod"):
        find_runtime(plain)


def test_the_folders_are_for_the_bot_alone(tmp_path: Path) -> None:
    """Also if they existed before and were readable by all accounts."""
    loose = tmp_path / "data" / "copilot" / "state"
    loose.mkdir(parents=True, mode=0o755)
    folders = make_runtime_dirs(tmp_path / "data")
    for folder in (folders.state, folders.home, folders.work, folders.cache):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folders.state == loose


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
    folders = make_runtime_dirs(tmp_path)
    options = RuntimeOptions(data_dir=tmp_path, base_url="http://localhost:1/v1", api_key="sk-1")
    env = runtime_environment(options, folders, "some-model", inherited)
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
    github = runtime_environment(
        RuntimeOptions(data_dir=tmp_path, github_token="ghp_1"), folders, "", inherited
    )
    assert "COPILOT_OFFLINE" not in github, "GitHub's models are not on this machine"


def test_options_do_not_show_their_secrets(tmp_path: Path) -> None:
    """Neither themselves nor in foreign text."""
    options = RuntimeOptions(data_dir=tmp_path, api_key="sk-secret", github_token="ghp_secret")
    assert "secret" not in repr(options)
    shown = options.sanitize_for_log("key sk-secret\nand ghp_secret " + "x" * 10_000)
    assert "secret" not in shown
    assert "\n" not in shown
    assert len(shown) < 500
