"""The code of docs/client-python.md runs on a server as it stands, says what it has to, and passes strict mypy."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from inspect import CO_COROUTINE
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from threadkeep.client import AsyncClient
from tools.checkout import ROOT
from tools.local.server import LocalServer

pytestmark = pytest.mark.anyio

PAGE = (ROOT / "docs/client-python.md").read_text()
BLOCKS = dict(re.findall(r"```python ([a-z]+)\n(.*?)```", PAGE, re.DOTALL))
URL = "http://127.0.0.1:8787"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with LocalServer(tmp_path / "server", store="sqlite", service_key="tk_local") as server:
        yield server.url


@pytest.fixture
async def page(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """What the code of the page knows: a client, and what it makes itself. It runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    async with AsyncClient(url, key="tk_local", user="alice") as client:
        yield {"client": client, "url": url}


async def run(page: dict[str, Any], block: str) -> None:
    code = compile(BLOCKS[block].replace(URL, page["url"]), block, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    ran = eval(code, page)
    if code.co_flags & CO_COROUTINE:
        await ran


async def test_the_first_two_do_the_same(page: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    await run(page, "first")
    said = "user: What is a monad?\nassistant: A monoid in the category of endofunctors.\n"
    assert capsys.readouterr().out == said
    await run(page, "second")
    assert capsys.readouterr().out == "user: What is a monad?\n"


async def test_the_rest_goes_from_top_to_bottom(page: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    said: dict[str, str] = {}
    for block in [*BLOCKS][2:]:
        await run(page, block)
        said[block] = capsys.readouterr().out
    assert said["conversations"] == "Where to? 2\nA trip\n"
    assert said["pages"] == "['A trip'] None\n"
    assert said["messages"] == "4 It is near the lake. {'vote': 1}\nIt is near the lake.\n"
    assert said["branches"] == "And then? False\nAnd after that? True\n"
    assert said["fork"].startswith("Another trip ")
    assert said["context"].endswith("[] False\n")
    assert "[Zürich]" in said["search"]
    assert said["changes"].startswith("1 1 ")  # the fork is deleted again
    assert said["documents"] == "1 0\n"
    assert said["errors"].startswith("The conversation has ")


def test_strict_mypy_has_nothing_to_say(tmp_path: Path) -> None:
    rest = "\n".join(BLOCKS[block] for block in [*BLOCKS][2:])
    imports = "from threadkeep.client import AsyncClient\n"
    program = f"{BLOCKS['first']}\n\nasync def second() -> None:\n{indent(BLOCKS['second'], '    ')}\n\n"
    program = f"{imports}{program}\n\nasync def rest(client: AsyncClient) -> None:\n{indent(rest, '    ')}"
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--python-version=3.11", "program.py"]
    environment = {**os.environ, "MYPYPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    wrong = program.replace('role="user", content="And then?"', 'role="robot", text="And then?"')
    (tmp_path / "program.py").write_text(wrong)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert set(re.findall(r"\[([a-z-]+)\]$", done.stdout, re.MULTILINE)) == {"arg-type", "call-arg"}, done.stdout
