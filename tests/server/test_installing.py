"""The package as anybody installs it: a wheel with all that a server needs, in an environment that has nothing else."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from toolbox.checkout import ROOT
from toolbox.install import python

PATIENCE_SECONDS = 120
# What pip may not download meanwhile: tests need no network once everything is installed.
FROM_HERE = ("--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--disable-pip-version-check")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    environment = {**os.environ, "PATH": f"{python().parent}{os.pathsep}{os.environ['PATH']}"}
    command = [python(), "-m", "pip", "wheel", *FROM_HERE, "--wheel-dir", folder, ROOT]
    subprocess.run(command, check=True, env=environment, timeout=PATIENCE_SECONDS)
    (made,) = folder.glob("threadkeep-*.whl")
    return made


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith("/METADATA"))
    package = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src/threadkeep").rglob("*.py")}
    assert {name for name in names if ".dist-info/" not in name} == package
    for extra in ("server", "sqlite"):
        assert f"Provides-Extra: {extra}" in metadata
    for needed in ("uvicorn", "httptools", "prometheus-client", "apsw"):
        assert f"Requires-Dist: {needed}" in metadata


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what requirements/server.txt pins, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=PATIENCE_SECONDS)
    install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pinned = ["--require-hashes", "--requirement", ROOT / "requirements/server.txt"]
    for options in (pinned, ["--no-deps", "--no-index", wheel]):
        subprocess.run([*install, *options], check=True, timeout=PATIENCE_SECONDS)
    return folder


def test_what_is_installed_serves_and_needs_nothing_of_the_checkout(environment: Path, tmp_path: Path) -> None:
    command = [environment / "bin" / "threadkeep", "serve", "--port=0", "--workers=2", "--dev-user=ada"]
    with subprocess.Popen(
        command, cwd=tmp_path, env={"PATH": ""}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[1]
            created = httpx.post(f"{address}/api/conversations", json={"title": "Ada"})
            assert created.status_code == 201
            assert len(httpx.get(f"{address}/api/conversations").json()["conversations"]) == 1
        finally:
            process.terminate()
        _, log = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, log
    assert [path.name for path in tmp_path.iterdir()] == ["threadkeep.sqlite"]
