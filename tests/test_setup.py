"""Tests `make setup`: it repairs a partial installation, or explains the way out.

The real `scripts/setup.py` runs in a copy of the repository, without downloads.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import urllib.parse
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pip
import pytest
from copilot._cli_version import CLI_VERSION

ROOT = Path(__file__).parent.parent
SECONDS = 60
# Any use of the network fails at once, with an error.
NO_NETWORK = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/",
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": "",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "npm_config_registry": "http://127.0.0.1:9/",
    "npm_config_fetch_retries": "0",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout with what the set-up reads, and no `.venv`."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("pyproject.toml", "constraints.txt", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH, with nothing in it but what a test puts there."""
    return tmp_path_factory.mktemp("path")


def set_up(
    copy: Path, *arguments: str, path: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **NO_NETWORK, **more}
    if path is not None:
        environment["PATH"] = str(path)
    return subprocess.run(
        [sys.executable, copy / "scripts" / "setup.py", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def make_venv(copy: Path, *options: str) -> Path:
    venv = copy / ".venv"
    subprocess.run([sys.executable, "-m", "venv", *options, venv], timeout=SECONDS, check=True)
    return venv


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The set-up as a module, to ask it for what it asks for."""
    monkeypatch.syspath_prepend(ROOT / "scripts")
    spec = importlib.util.spec_from_file_location("setup_script", ROOT / "scripts" / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    for name in ("steps", "native_runtime"):
        sys.modules.pop(name, None)


@pytest.fixture
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """An npm registry on this machine."""
    server = Registry(tmp_path_factory.mktemp("registry"))
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield server
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


class Registry(http.server.ThreadingHTTPServer):
    """Has one package, which is not the one that it says, and would like to run a script."""

    NAME = "@github/copilot"

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.ran = folder / "ran"
        about = {
            "name": self.NAME,
            "version": CLI_VERSION,
            "scripts": {"install": f"touch {self.ran}"},
        }
        content = json.dumps(about).encode()
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w:gz") as archive:
            file = tarfile.TarInfo("package/package.json")
            file.size = len(content)
            archive.addfile(file, io.BytesIO(content))
        self.file = made.getvalue()
        digest = base64.b64encode(hashlib.sha512(self.file).digest()).decode()
        self.integrity = f"sha512-{digest}"
        dist = {"tarball": f"{self.url}it.tgz", "integrity": self.integrity}
        self.about = json.dumps(
            {
                "name": self.NAME,
                "dist-tags": {"latest": CLI_VERSION},
                "versions": {CLI_VERSION: {**about, "hasInstallScript": True, "dist": dist}},
            }
        ).encode()


class _Answering(http.server.BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        path = urllib.parse.unquote(self.path).lstrip("/")
        known = {"it.tgz": self.server.file, self.server.NAME: self.server.about}
        self.send_response(200 if path in known else 404)
        self.end_headers()
        self.wfile.write(known.get(path, b"{}"))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def install_from(
    copy: Path, script: ModuleType, registry: Registry, integrity: str | None = None
) -> str:
    """Have nothing but the registry's package installed; what went wrong. Another `integrity` than
    the one that is pinned may be wanted."""
    lock = copy / "scripts" / "runtime" / "package-lock.json"
    pins = json.loads(lock.read_text(encoding="utf-8"))
    (name,) = [path for path in pins["packages"] if path.endswith("/copilot")]
    pinned = pins["packages"][name]["integrity"]
    alone = {"version": CLI_VERSION, "integrity": integrity or pinned, "hasInstallScript": True}
    pins["packages"] = {"": pins["packages"][""], name: alone}
    complete(copy, script)
    lock.write_text(json.dumps(pins), encoding="utf-8")
    done = set_up(
        copy,
        npm_config_registry=registry.url,
        npm_config_cache=str(copy / "cache"),
        HTTP_PROXY="",
        HTTPS_PROXY="",
    )
    assert done.returncode == 1
    return done.stderr


def test_an_npm_package_that_is_not_the_one_that_was_pinned_is_not_installed(
    copy: Path, script: ModuleType, registry: Registry
) -> None:
    output = install_from(copy, script, registry)
    assert "EINTEGRITY" in output
    assert "The Copilot runtime could not be installed" in output


def test_no_script_of_an_npm_package_is_run(
    copy: Path, script: ModuleType, registry: Registry
) -> None:
    """Also of one that is the pinned one; here it holds no runtime."""
    output = install_from(copy, script, registry, registry.integrity)
    assert script.native_runtime.NO_PROGRAM in output
    assert not registry.ran.exists()


@pytest.mark.parametrize(
    "folder", ["scripts/runtime", "bench/peers/chat_sdk", "tests/conformance/echo-app"]
)
def test_every_npm_package_is_pinned_by_its_hash_and_to_no_place(folder: str) -> None:
    text = (ROOT / folder / "package-lock.json").read_text(encoding="utf-8")
    wanted = json.loads((ROOT / folder / "package.json").read_text(encoding="utf-8"))
    packages = json.loads(text)["packages"]
    assert packages.pop("")["dependencies"] == wanted["dependencies"]
    assert packages
    assert all(each["integrity"].startswith("sha512-") for each in packages.values())
    assert "://" not in text


def complete(copy: Path, script: ModuleType) -> None:
    """Leave what a complete set-up leaves, as far as the set-up looks."""
    venv = make_venv(copy, "--without-pip")
    site = next((venv / "lib").glob("python3*")) / "site-packages"
    # pip need not be a real one: nothing is to be installed, and if so, it has no network.
    (site / "pip").mkdir()
    pip = "import sys; sys.exit('install' in sys.argv)"
    (site / "pip" / "__main__.py").write_text(pip, encoding="utf-8")
    (venv / "bin" / "threadpilot").write_text(f"#!{venv}/bin/python\n", encoding="utf-8")
    runtime = venv / "share" / "threadpilot" / "runtime"
    for _, name in script.native_runtime.KEPT:
        file = runtime / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    stamps = venv / "share" / "threadpilot" / "stamps"
    stamps.mkdir(parents=True)
    pins = (copy / "constraints.txt").read_text(encoding="utf-8")
    (stamps / "packages").write_text(
        script.digest(pins, script.project_tables(), venv), encoding="ascii"
    )
    packages = script.npm_wanted(script.native_runtime.WANTED)
    runtime_wanted = script.digest(packages, script.native_runtime.KEPT, venv)
    (stamps / "runtime").write_text(runtime_wanted, encoding="ascii")


def test_a_second_run_does_nothing_and_needs_no_network(copy: Path, script: ModuleType) -> None:
    complete(copy, script)
    done = set_up(copy)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Threadpilot is installed.\n"


def test_other_pins_are_installed_again(copy: Path, script: ModuleType) -> None:
    """Without a network that fails, with a sentence and a way out; and is not taken for done."""
    complete(copy, script)
    with (copy / "constraints.txt").open("a", encoding="utf-8") as pins:
        pins.write("threadpilot-has-no-such-dependency==1.0\n")
    done = set_up(copy)
    assert done.returncode == 1
    assert "Installing the Python packages" in done.stdout
    assert set_up(copy).returncode == 1, "an installation that failed counts as done"


def a_wheel(folder: Path) -> Path:
    """A package as small as can be."""
    wheel = folder / "threadpilot_canary-1.0-py3-none-any.whl"
    about = "threadpilot_canary-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("threadpilot_canary.py", "")
        made.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: threadpilot-canary\nVersion: 1.0\n"
        )
        made.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        made.writestr(f"{about}/RECORD", "")
    return wheel


def test_a_file_that_is_not_the_one_that_was_pinned_is_not_installed(
    copy: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wheel = a_wheel(tmp_path_factory.mktemp("wheels"))
    whole = wheel.read_bytes()
    pin = f"threadpilot-canary==1.0 \\\n    --hash=sha256:{hashlib.sha256(whole).hexdigest()}\n"
    (copy / "constraints.txt").write_text(pin, encoding="utf-8")
    venv = make_venv(copy, "--without-pip")
    site = next((venv / "lib").glob("python3*")) / "site-packages"
    (site / "pip").symlink_to(Path(pip.__file__).parent)  # a real one; making it takes long

    with zipfile.ZipFile(wheel, "a") as made:
        made.writestr("extra.py", "print('not what was pinned')")
    refused = set_up(copy, PIP_FIND_LINKS=str(wheel.parent))
    assert refused.returncode == 1
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert not (site / "threadpilot_canary.py").exists()

    wheel.write_bytes(whole)
    set_up(copy, PIP_FIND_LINKS=str(wheel.parent))
    assert (site / "threadpilot_canary.py").exists()


def test_tool_settings_do_not_call_for_another_installation(copy: Path, script: ModuleType) -> None:
    complete(copy, script)
    with (copy / "pyproject.toml").open("a", encoding="utf-8") as project:
        project.write("\n[tool.some-linter]\nline-length = 80\n")
    assert set_up(copy).returncode == 0


def test_without_a_network_the_first_run_says_what_could_not_be_installed(copy: Path) -> None:
    done = set_up(copy)
    assert done.returncode == 1
    assert "The Python packages could not be installed" in done.stderr
    assert "Is the network there?" in done.stderr
    assert "`make setup` again" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_venv_whose_python_is_gone_is_recreated(copy: Path) -> None:
    venv = make_venv(copy, "--without-pip")
    for link in (venv / "bin").glob("python*"):
        link.unlink()
    (venv / "bin" / "python").symlink_to("/nowhere/python3")
    done = set_up(copy)
    assert ".venv cannot be used (its Python does not run): replacing it" in done.stdout
    assert (venv / "bin" / "python").exists()


def test_a_venv_that_was_interrupted_before_its_first_file_is_recreated(copy: Path) -> None:
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / ".venv" / "lib").mkdir()
    done = set_up(copy)
    assert "replacing it" in done.stdout
    assert (copy / ".venv" / "pyvenv.cfg").exists()


def test_a_venv_without_pip_gets_it_back(copy: Path) -> None:
    venv = make_venv(copy, "--without-pip")
    kept = venv / "kept"
    kept.touch()
    done = set_up(copy)
    assert "restoring it" in done.stdout
    assert kept.exists(), "it was made anew although it could be mended"
    assert (
        subprocess.run([venv / "bin" / "python", "-m", "pip", "--version"], check=False).returncode
        == 0
    )


def test_a_venv_that_was_moved_here_is_recreated(copy: Path) -> None:
    """The commands in it would still start the Python of the folder where it was made."""
    venv = make_venv(copy, "--without-pip")
    (venv / "bin" / "threadpilot").write_text("#!/elsewhere/.venv/bin/python\n", encoding="utf-8")
    assert "it was made in another folder" in set_up(copy).stdout


def test_a_folder_that_is_no_venv_is_left_alone(copy: Path) -> None:
    diary = copy / ".venv" / "diary.txt"
    diary.parent.mkdir()
    diary.write_text("dear diary", encoding="utf-8")
    done = set_up(copy)
    assert done.returncode == 1
    assert "is not a virtual environment" in done.stderr
    assert "Move it away" in done.stderr
    assert diary.read_text(encoding="utf-8") == "dear diary"


def test_a_missing_npm_is_explained_with_two_ways_out(
    copy: Path, path: Path, script: ModuleType
) -> None:
    complete(copy, script)
    (copy / ".venv" / "share" / "threadpilot" / "stamps" / "runtime").unlink()
    done = set_up(copy, path=path)
    assert done.returncode == 1
    assert "npm is missing" in done.stderr
    assert "apt-get install npm" in done.stderr
    assert "-m copilot download-runtime" in done.stderr


def test_missing_browser_and_no_way_to_install_it_is_explained(
    copy: Path, path: Path, script: ModuleType
) -> None:
    complete(copy, script)
    done = set_up(copy, "--tests", path=path)
    assert done.returncode == 1
    assert "apt-get install chromium chromium-driver" in done.stderr


def test_without_npm_it_is_said_what_the_bench_needs_it_for(
    copy: Path, path: Path, script: ModuleType
) -> None:
    complete(copy, script)
    shutil.copytree(ROOT / "bench" / "peers", copy / "bench" / "peers")
    done = set_up(copy, "--bench", path=path)
    assert done.returncode == 1
    assert "Chat SDK for the bench" in done.stderr
    assert "make setup-bench" in done.stderr


@pytest.mark.parametrize("old", [(3, 7, 3), (3, 10, 14)])
def test_a_python_that_is_too_old_is_reported(
    script: ModuleType, old: tuple[int, int, int]
) -> None:
    with pytest.raises(script.Fault, match=r"needs Python 3\.11 or newer.*PYTHON="):
        script.check_python(old)


def test_the_python_that_runs_these_tests_is_new_enough(script: ModuleType) -> None:
    assert script.check_python(sys.version_info[:3]) is None


def test_the_runtime_is_the_one_that_the_sdk_was_made_for(script: ModuleType) -> None:
    assert script.native_runtime.COPILOT_CLI.removeprefix("@github/copilot@") == CLI_VERSION
    package = json.loads(
        (script.native_runtime.WANTED / "package.json").read_text(encoding="utf-8")
    )
    assert package["dependencies"] == {"@github/copilot": CLI_VERSION}


def test_make_lists_every_target_with_what_it_does() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    targets = {"setup", "setup-tests", "setup-bench", "demo", "run", "doctor", "test", "check"}
    for target in targets | {"clean"}:
        assert f"make {target} " in listed
