"""The code of docs/messages.md runs on a server as it stands, says what it has to, and passes strict mypy."""

import ast
import json
import os
import re
import subprocess
import sys
from inspect import CO_COROUTINE
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from threadkeep.client import AsyncClient
from tools.checkout import ROOT
from tools.local.install import install
from tools.local.server import LocalServer

pytestmark = pytest.mark.anyio

PAGE = (ROOT / "docs/messages.md").read_text()
BLOCKS = dict(re.findall(r"```python ([a-z-]+)\n(.*?)```", PAGE, re.DOTALL))
SAYS = {
    "editing": """\
['Where to in June?', 'To Basel.']
['Where to in May?', 'To Zürich.']
""",
    "rolling-back": "['Where to in June?', 'Have you been to Lugano?'] [4, 5]\n",
    "deleting": "['Where to in May?', 'To Zürich.']\n",
    "forking": "Zürich 3 2\n",
    "another-device": "True\n",
    "streaming": "Try the lake of Como.\n",
}


async def test_the_examples_go_from_top_to_bottom(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = {}
    with LocalServer(tmp_path / "server", store="sqlite", service_key="tk_local") as server:
        async with AsyncClient(server.url, key="tk_local", user="alice") as client:
            page: dict[str, Any] = {"client": client}
            for name, block in BLOCKS.items():
                code = compile(block, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                ran = eval(code, page)
                if code.co_flags & CO_COROUTINE:
                    await ran
                said[name] = capsys.readouterr().out
    assert said == SAYS


def test_strict_mypy_has_nothing_to_say(tmp_path: Path) -> None:
    blocks = indent("".join(BLOCKS.values()), "    ")
    program = f"from threadkeep.client import AsyncClient\n\n\nasync def page(client: AsyncClient) -> None:\n{blocks}"
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--python-version=3.11", "program.py"]
    environment = {**os.environ, "MYPYPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_an_answer_is_written_and_read_along_in_javascript(tmp_path: Path) -> None:
    blocks = dict(re.findall(r"```js ([a-z-]+)\n(.*?)```", PAGE, re.DOTALL))
    with LocalServer(tmp_path / "server", store="sqlite", service_key="tk_local") as server:
        (tmp_path / "program.mjs").write_text(f"""
const api = "{server.url}/api"
const headers = {{"Authorization": "Bearer tk_local", "X-User-Id": "alice"}}
{blocks["streaming"]}
{blocks["resuming"]}
await call("POST", "/conversations", {{id: "trip", messages: [{{id: "q", role: "user", content: "Where to?"}}]}})
async function* tokens() {{
  for (const token of ["To ", "Zürich", " 😀."]) {{
    yield token
    await new Promise((resolve) => setTimeout(resolve, 300))
  }}
}}
const writing = writeAnswer("trip", tokens())
let drafts = []
const page = async () => (await fetch(api + "/conversations/trip/messages", {{headers}})).json()
while (drafts.length === 0) drafts = (await page()).drafts
const shown = []
const readers = [1, 2].map(() => readAnswer(drafts[0].id, (text) => shown.push(text)))
const appended = await writing
console.log(JSON.stringify([await Promise.all(readers), appended.messages[0].id === drafts[0].id]))
console.log(JSON.stringify((await page()).messages[1].content))
console.log(shown.length >= 4)
""")
        command = [str(install().program), "program.mjs"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    text = "To Zürich 😀."
    assert said == [[[text, text], True], [{"type": "text", "text": text}], True], done.stderr


def test_the_path_in_javascript_is_the_active_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"```js another-device\n(.*?)```", PAGE, re.DOTALL)
    follows = [0, 1, 1, 3, 0, 2]
    messages = [{"id": f"m{seq}", "seq": seq, "follows": parent} for seq, parent in enumerate(follows, start=1)]
    cases = {"m6": [1, 2, 6], "m4": [1, 3, 4], "m5": [5], None: []}
    program = f"{block}\nconst messages = {json.dumps(messages)}\nfor (const leafId of {json.dumps([*cases])}) "
    program += "console.log(JSON.stringify(activePath({leafId}, messages).map((message) => message.seq)))"
    (tmp_path / "program.mjs").write_text(program)
    command = [str(install().program), "program.mjs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [*cases.values()], done.stderr
