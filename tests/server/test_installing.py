"""The package as anybody installs it: a wheel with all that a server needs. test_containers.py installs and runs it."""

import importlib.metadata
import os
import subprocess
import venv
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
    package.add("threadkeep/py.typed")
    assert {name for name in names if ".dist-info/" not in name} == package
    for extra in ("server", "sqlite", "client"):
        assert f"Provides-Extra: {extra}" in metadata
    for needed in ("uvicorn", "h11", "prometheus-client", "apsw", "httpx"):
        assert f"Requires-Dist: {needed}" in metadata


# What `threadkeep[client]` installs.
OF_THE_CLIENT = ("anyio", "certifi", "h11", "httpcore", "httpx", "idna", "msgspec", "pyjwt", "python-ulid")
PROGRAM = """
import sys
from threadkeep.client import AsyncClient, Client
with Client("http://127.0.0.1:1", key="tk_local", user="alice") as client:
    assert client.conversations.of("a").id == "a"
tops = {name.partition(".")[0] for name in sys.modules}
print(*tops & {"apsw", "asyncpg", "prometheus_client", "pytest", "uvicorn"})
rooms = ("threadkeep.http", "threadkeep.server", "threadkeep.storage.sql.")
print(*(name for name in sys.modules if name.startswith(rooms)))
"""


def test_the_client_needs_nothing_of_the_server(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", symlinks=True)
    (site_packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site_packages)
    for name in (*OF_THE_CLIENT, "typing_extensions"):  # which anyio needs before Python 3.13
        installed = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in installed.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            (site_packages / top).symlink_to(Path(str(installed.locate_file(top))))
    program = [tmp_path / "venv/bin/python", "-I", "-c", PROGRAM]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n\n", "")
