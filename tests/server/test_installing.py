"""The package as anybody installs it: a wheel with all that a server needs. test_containers.py installs and runs it."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from tools.checkout import ROOT
from tools.local.install import python

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
    for needed in ("uvicorn", "h11", "prometheus-client", "apsw"):
        assert f"Requires-Dist: {needed}" in metadata
