"""The code of docs/openai-agents.md does what the page says, on a server and in a file."""

import ast
import inspect
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from agents import Runner
from cryptography.fernet import Fernet
from openai import AsyncOpenAI

from support.agent_turn import ANSWER, agent
from threadkeep.adapters.openai_agents import ThreadkeepSession
from tools.checkout import ROOT
from tools.local.server import LocalServer

pytestmark = pytest.mark.anyio

PAGE = (ROOT / "docs/openai-agents.md").read_text()
BLOCKS = dict(re.findall(r"```python ([a-z]+)\n(.*?)```", PAGE, re.DOTALL))
ADDRESS = "http://127.0.0.1:8787"
SUMMARY = {"type": "compaction", "id": "cmp_1", "encrypted_content": "summary"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with LocalServer(tmp_path_factory.mktemp("server"), store="sqlite", service_key="tk_local") as server:
        yield server.url


@pytest.fixture
async def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """What the code of the page knows, and what it makes itself. It runs in an empty folder."""
    for name in ("URL", "KEY", "USER"):
        monkeypatch.delenv(f"THREADKEEP_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {
        "agent": agent(),
        "Runner": Runner,
        "ThreadkeepSession": ThreadkeepSession,
        "encryption_key": Fernet.generate_key().decode(),
    }
    yield names
    if isinstance(names.get("session"), ThreadkeepSession):
        await names["session"].close()


async def run(page: dict[str, Any], block: str, url: str = ADDRESS) -> None:
    """Run a block, and see to it that the agent has answered."""
    code = compile(BLOCKS[block].replace(ADDRESS, url), block, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, page)
    if inspect.isawaitable(running):
        await running
    assert page["result"].final_output == ANSWER


def bytes_of(file: str) -> bytes:
    """All that is in a SQLite file and in its logs."""
    return b"".join(path.read_bytes() for path in Path().glob(f"{file}*"))


def test_every_block_is_run() -> None:
    assert list(BLOCKS) == ["served", "file", "resuming", "compaction", "encryption", "conversations"]


async def test_three_lines_keep_a_session_on_a_server_and_it_can_be_looked_at(page: dict[str, Any], url: str) -> None:
    await run(page, "served", url)
    items = await page["session"].get_items()
    assert len(items) == 8
    for line in re.findall(r"^    curl -s (\S+) -H '(.*): (.*)' -H '(.*): (.*)'$", PAGE, re.MULTILINE):
        async with httpx.AsyncClient(headers={line[1]: line[2], line[3]: line[4]}) as client:
            answer = (await client.get(line[0].replace(ADDRESS, url))).json()
        assert len(answer.get("entries", items)) == 8
        assert len(answer.get("journals", [1])) == 1
    assert await ThreadkeepSession("chat-1", url, key="tk_local", user="bob").get_items() == []


async def test_three_lines_keep_a_session_in_a_file_and_an_agent_goes_on_from_it(page: dict[str, Any]) -> None:
    await run(page, "file")
    assert bytes_of("agents.sqlite")
    await run(page, "resuming")
    assert len(await page["session"].get_items()) == 9


async def test_a_session_is_compacted(page: dict[str, Any]) -> None:
    def compact(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path == "/v1/responses/compact"
        body = {"id": "r", "object": "response.compaction", "created_at": 1, "output": [SUMMARY], "usage": None}
        return httpx2.Response(200, json=body)

    transport = httpx2.MockTransport(compact)
    async with AsyncOpenAI(api_key="none", http_client=httpx2.AsyncClient(transport=transport)) as client:
        page["client"] = client
        await run(page, "file")
        await run(page, "compaction")
    assert await page["session"].get_items() == [SUMMARY]


async def test_a_session_is_encrypted(page: dict[str, Any]) -> None:
    await run(page, "encryption")
    assert len(await page["encrypted"].get_items()) == 8
    kept = await page["session"].get_items()
    assert {*map(len, kept)} == {4}
    assert "monads" not in str(kept)
    await page["session"].close()
    assert b"monads" not in bytes_of("agents.sqlite")


async def test_openais_own_session_is_kept_here(page: dict[str, Any], url: str) -> None:
    await run(page, "conversations", url)
    assert len(await page["session"].get_items()) == 8
    await page["client"].close()
