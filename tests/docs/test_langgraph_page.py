"""The code of docs/langgraph.md does what the page says, on a server and in a file."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command

from support.graphs import builder
from threadkeep.adapters.langgraph import ThreadkeepSaver
from tools.checkout import ROOT
from tools.local.server import LocalServer

BLOCKS = dict(re.findall(r"```python ([a-z]+)\n(.*?)```", (ROOT / "docs/langgraph.md").read_text(), re.DOTALL))
CONFIG: Any = {"configurable": {"thread_id": "t1", "user_id": "alice"}}


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with LocalServer(tmp_path / "server", store="sqlite", service_key="tk_local") as server:
        yield server.url


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the code of the page knows: the builder of a graph, and what it makes itself. It runs in an empty folder."""
    for name in ("URL", "KEY", "USER"):
        monkeypatch.delenv(f"THREADKEEP_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"builder": builder()}
    yield names
    names["saver"].close()


def run(page: dict[str, Any], block: str) -> None:
    previous: ThreadkeepSaver | None = page.get("saver")
    exec(BLOCKS[block], page)
    if previous is not None and page["saver"] is not previous:
        previous.close()


def test_every_block_is_run() -> None:
    assert list(BLOCKS) == ["served", "file", "users", "pruning", "claiming"]


def test_three_lines_keep_a_graph_on_a_server(page: dict[str, Any], url: str) -> None:
    code = BLOCKS["served"].replace("http://127.0.0.1:8787", url)
    assert url in code
    exec(code, page)
    page["graph"].invoke({"topic": "monads"}, CONFIG)
    with ThreadkeepSaver(url, key="tk_local", user="alice") as again:
        assert page["builder"].compile(checkpointer=again).get_state(CONFIG).values["topic"] == "monads"
    with ThreadkeepSaver(url, key="tk_local", user="bob") as of_bob:
        assert of_bob.get_tuple(CONFIG) is None


def test_the_page_in_a_file(page: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    run(page, "file")
    page["graph"].invoke({"topic": "monads"}, {"configurable": {"thread_id": "of the file"}})
    assert Path("agents.sqlite").exists()
    run(page, "users")
    assert page["saver"].get_tuple(CONFIG) is None
    page["graph"].invoke({"topic": "monads"}, CONFIG)
    page["graph"].invoke(Command(resume="both"), CONFIG)
    run(page, "pruning")
    thread, copy = [len(list(page["saver"].list({"configurable": {"thread_id": name}}))) for name in ("t1", "t1-again")]
    assert 0 < thread == copy < 7
    run(page, "claiming")
    assert capsys.readouterr().out == "somebody else has the thread now\n"
