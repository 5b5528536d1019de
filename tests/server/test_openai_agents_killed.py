"""Agents of OpenAI's SDK that are killed in mid-turn, or whose answers are lost, go on from what their session has."""

import asyncio
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any

import pytest
from agents import OpenAIConversationsSession, SQLiteSession
from agents.memory import Session
from openai import AsyncOpenAI

from support.agent_turn import ANSWER, TOOLS, add_for_ever, run, take_turn
from support.lossy_proxy import lossy_proxy
from threadkeep.adapters.openai_agents import ThreadkeepSession
from tools.local.server import LocalServer

SECONDS = 60
FORKS = multiprocessing.get_context("forkserver")
KEY = "tk_key_of_an_agent"
QUESTION = "What are monads?"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with LocalServer(tmp_path_factory.mktemp("server"), store="sqlite", service_key=KEY) as running:
        yield running.url


@pytest.fixture(scope="module", autouse=True)
def _forks_have_imported_everything() -> None:
    """A process to fork others from, so that the SDK is imported once. It ends with this one."""
    FORKS.set_forkserver_preload(["support.agent_turn"])
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # which it does not take over from us
        ensure_running()


@pytest.fixture(params=["file", "server"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return str(tmp_path / "agents.sqlite")
    url: str = request.getfixturevalue("server")
    return url


@pytest.fixture(scope="module")
def undisturbed() -> list[Any]:
    """What the SDK's own session has where nobody kills anything."""

    async def items() -> list[Any]:
        session = SQLiteSession("undisturbed")
        assert await run(session, QUESTION, streams=False) == ANSWER
        return [*await session.get_items()]

    return asyncio.run(items())


def started(target: Callable[[dict[str, Any], Connection], None], turn: dict[str, Any]) -> tuple[Connection, Any]:
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=target, args=(turn, theirs), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def kill(process: Any) -> None:
    """End a process as a machine that goes down would."""
    process.kill()
    process.join(SECONDS)
    assert process.exitcode == -signal.SIGKILL


def told_by(told: Connection) -> Any:
    assert told.poll(SECONDS)
    return told.recv()


def items_of(where: str, session_id: str) -> list[Any]:
    async def items() -> list[Any]:
        session = ThreadkeepSession(session_id, where, key=KEY, user="alice")
        try:
            return [*await session.get_items()]
        finally:
            await session.close()

    return asyncio.run(items())


@pytest.mark.parametrize("streams", [False, True], ids=["awaited", "streamed"])
def test_an_agent_killed_in_each_of_its_tools_goes_on(
    where: str, tmp_path: Path, undisturbed: list[Any], *, streams: bool
) -> None:
    log = tmp_path / "log"
    turn = {"where": where, "key": KEY, "session": str(tmp_path), "log": str(log), "streams": streams}
    for number, tool in enumerate(TOOLS):
        given = {"given": QUESTION} if number == 0 else {}
        told, process = started(take_turn, {**turn, **given, "stop_in": tool})
        assert told_by(told) == "stopped"
        kill(process)
        assert items_of(where, str(tmp_path)) == undisturbed[: 1 + 2 * number]
    told, process = started(take_turn, turn)
    assert told_by(told) == ANSWER
    process.join(SECONDS)
    assert items_of(where, str(tmp_path)) == undisturbed
    assert Counter(log.read_text().split()) == Counter([*TOOLS, *TOOLS])  # each was killed once, and then done once


def test_two_writers_of_which_one_is_killed_lose_nothing_that_was_kept(where: str, tmp_path: Path) -> None:
    turn = {"where": where, "key": KEY, "session": str(tmp_path)}
    writers = {name: started(add_for_ever, {**turn, "writer": name}) for name in ("one", "two")}
    kept = dict.fromkeys(writers, -1)
    for name, most in (("one", 5), ("two", 20)):
        told, process = writers[name]
        while kept[name] < most:
            kept[name] = told_by(told)
        kill(process)
        while told.poll():
            try:
                kept[name] = told.recv()
            except EOFError:
                break
    found = [item["content"].split() for item in items_of(where, str(tmp_path))]
    assert found[::2] == [[name, number, "a"] for name, number, _ in found[1::2]]  # no pair is torn
    for name, last in kept.items():
        numbers = [int(number) for writer, number, part in found if (writer, part) == (name, "b")]
        assert numbers == [*range(len(numbers))]
        assert len(numbers) - 1 - last in (0, 1)  # the last may have been kept without an answer


def test_lost_answers_change_nothing(server: str, tmp_path: Path, undisturbed: list[Any]) -> None:
    async def use(session: Session) -> list[Any]:
        for streams in (False, True):
            assert await run(session, QUESTION, streams=streams) == ANSWER
        await session.add_items([{"role": "user", "content": str(number)} for number in range(10)])
        popped = [await session.pop_item() for _ in range(5)]
        assert [item["content"] for item in popped if item] == ["9", "8", "7", "6", "5"]  # type: ignore[index]
        kept = [*await session.get_items()]
        await session.clear_session()
        assert await session.get_items() == []
        return kept

    async def use_ours(url: str) -> list[Any]:
        session = ThreadkeepSession(str(tmp_path), url, key=KEY, user="alice")
        try:
            return await use(session)
        finally:
            await session.close()

    with lossy_proxy(server) as proxy:
        ours = asyncio.run(use_ours(proxy.url))
        assert proxy.lost > 10
    assert ours == asyncio.run(use(SQLiteSession("undisturbed")))
    assert ours[: len(undisturbed)] == undisturbed


def test_lost_answers_change_nothing_for_openais_own_client(server: str) -> None:
    async def use(url: str) -> list[str]:
        async with AsyncOpenAI(
            base_url=f"{url}/api/openai/v1", api_key=KEY, default_headers={"X-User-Id": "bob"}, max_retries=5
        ) as client:
            session = OpenAIConversationsSession(openai_client=client)
            for number in range(12):
                await session.add_items([{"role": "user", "content": str(number % 4)}] * (number % 3 + 1))
            popped = await session.pop_item()
            texts = [item["content"][0]["text"] for item in [*await session.get_items(), popped]]  # type: ignore
            await session.clear_session()
            return texts

    with lossy_proxy(server) as proxy:
        found = asyncio.run(use(proxy.url))
        assert proxy.lost > 5
    assert found == [str(number % 4) for number in range(12) for _ in range(number % 3 + 1)]
