"""How much a process takes on: requests, streams and bodies, of one user and in all."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from support.in_process import VARIABLES, as_user
from threadkeep.errors import RateLimited, Unavailable
from threadkeep.http.messages import BODY_BYTES_MAX
from threadkeep.http.problems import STATUS
from threadkeep.server.application import Application
from threadkeep.server.limits import Limits
from threadkeep.server.load import Load, Share

pytestmark = pytest.mark.anyio

FEW = Limits(
    requests=2,
    streams=3,
    streams_of_user=2,
    small_body_bytes=10,
    body_bytes=100,
    body_bytes_of_user=60,
    body_turn_seconds=0.05,
)
API = "/api/conversations"
JSON = {"content-type": "application/json"}
IMPORT = {"content-type": "application/x-ndjson"}


@pytest.fixture
def load() -> Load:
    return Load(FEW)


async def test_as_many_requests_as_there_may_be_and_no_more_until_one_is_over(load: Load) -> None:
    first = load.begin("ada")
    load.begin("ada")
    with pytest.raises(Unavailable, match="as many requests as it can take"):
        load.begin("grace")
    await first.end()
    load.begin("grace")


async def test_a_stream_is_no_longer_a_request_and_has_limits_of_its_own(load: Load) -> None:
    streams = [new_stream(load, user_id) for user_id in ("ada", "ada", "grace")]
    with pytest.raises(RateLimited, match="2 streams open"):
        new_stream(load, "ada")
    with pytest.raises(Unavailable, match="as many streams open as it can"):
        new_stream(load, "grace")
    assert load.requests == 2  # those that were refused, until they are over
    load.requests = 0
    for stream in streams:
        await stream.end()
    assert (load.requests, load.streams) == (0, {})


def new_stream(load: Load, user_id: str) -> Share:
    share = load.begin(user_id)
    share.stream()
    return share


async def test_a_body_waits_for_others_of_its_user_and_of_all(load: Load) -> None:
    load = Load(Limits(body_bytes=100, body_bytes_of_user=60, small_body_bytes=10, body_turn_seconds=10))
    ada, grace = load.begin("ada"), load.begin("grace")
    await ada.hold(60)
    await grace.hold(30)
    await load.begin("ada").hold(10)  # small ones need not wait
    waiting = [asyncio.create_task(load.begin(user_id).hold(20)) for user_id in ("ada", "grace")]
    await asyncio.sleep(0.01)
    assert [task.done() for task in waiting] == [False, False]
    await ada.end()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert load.body_bytes == {"ada": 20, "grace": 50}
    await grace.hold(1_000)  # what it has is for all of its body
    await grace.end()
    assert load.body_bytes == {"ada": 20, "grace": 20}


async def test_a_body_that_waits_in_vain_is_refused(load: Load) -> None:
    ada = load.begin("ada")
    await ada.hold(50)
    with pytest.raises(Unavailable, match="Send this one again in a moment"):
        await load.begin("ada").hold(11)
    await ada.end()
    assert load.body_bytes == {}


# In an application


class Talk:
    """A request whose body comes as the test says."""

    def __init__(self, app: Application, method: str, path: str, headers: dict[str, str], user: str = "ada") -> None:
        self.sent: list[Any] = []
        self.body: asyncio.Queue[Any] = asyncio.Queue()
        raw = [(name.lower().encode(), value.encode()) for name, value in {**as_user(user), **headers}.items()]
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": raw}
        self.answering = asyncio.create_task(app(scope, self.body.get, self.send))

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def say(self, body: bytes, *, more: bool = True) -> None:
        self.body.put_nowait({"type": "http.request", "body": body, "more_body": more})

    async def status(self) -> int:
        await asyncio.wait_for(self.answering, 10)
        return int(self.sent[0]["status"])


@pytest.fixture
async def app() -> AsyncIterator[Application]:
    made = Application({**VARIABLES, "AGENT_CONVERSATION_STORE": "memory"}.get, limits=FEW)
    yield made
    await made.close()


async def test_requests_over_the_limit_are_told_to_come_again_and_who_needs_no_user_is_answered(
    app: Application,
) -> None:
    held = [Talk(app, "POST", API, JSON) for _ in range(2)]
    await asyncio.sleep(0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        refused = await client.get(API, headers=as_user("grace"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-request-id"]
        assert (await client.get("/api/health")).status_code == 200
        for talk in held:
            talk.say(b"{}", more=False)
            assert await talk.status() == 201
        assert (await client.get(API, headers=as_user("grace"))).status_code == 200


async def test_streams_over_the_limit_of_a_user_are_refused_and_are_not_requests(app: Application) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        assert (await client.post(API, json={}, headers=as_user("ada"))).status_code == 201
        going = asyncio.Event()
        begun = asyncio.Barrier(3)

        class Slow(Talk):
            async def send(self, message: Any) -> None:
                await super().send(message)
                if message.get("body"):
                    await begun.wait()
                    await going.wait()

        streams = [Slow(app, "GET", "/api/export", {}) for _ in range(2)]
        await begun.wait()
        refused = await client.get("/api/export", headers=as_user("ada"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == "1"
        assert (await client.get(API, headers=as_user("ada"))).status_code == 200
        going.set()
        assert [await stream.status() for stream in streams] == [200, 200]
        assert (await client.get("/api/export", headers=as_user("ada"))).status_code == 200


@pytest.mark.parametrize("headers", [JSON, {**JSON, "content-length": "50"}], ids=["in chunks", "of known length"])
async def test_bodies_over_the_limit_are_refused_and_given_back_when_they_are_over(
    headers: dict[str, str],
) -> None:
    limits = Limits(small_body_bytes=10, body_bytes_of_user=BODY_BYTES_MAX, body_turn_seconds=0.05)
    if "content-length" in headers:
        limits = Limits(small_body_bytes=10, body_bytes_of_user=60, body_turn_seconds=0.05)
    app = Application({**VARIABLES, "AGENT_CONVERSATION_STORE": "memory"}.get, limits=limits)
    first, second, other = (Talk(app, "POST", API, headers, user) for user in ("ada", "ada", "grace"))
    body = b'{"title": "' + b"x" * 37 + b'"}'
    first.say(body[:20])
    await asyncio.sleep(0.01)
    second.say(body, more=False)
    assert await second.status() == 503
    other.say(body, more=False)
    assert await other.status() == 201
    first.say(body[20:], more=False)
    assert await first.status() == 201
    third = Talk(app, "POST", API, headers)
    third.say(body, more=False)
    assert await third.status() == 201
    await app.close()


@pytest.mark.parametrize(("path", "headers"), [(API, JSON), ("/api/import", IMPORT)])
async def test_a_body_has_to_come_in_time(path: str, headers: dict[str, str]) -> None:
    limits = Limits(body_pause_seconds=0.05, body_seconds=0.2)
    app = Application({**VARIABLES, "AGENT_CONVERSATION_STORE": "memory"}.get, limits=limits)
    silent = Talk(app, "POST", path, headers)
    assert await silent.status() == 408
    slow = Talk(app, "POST", path, headers)
    for _ in range(20):
        slow.say(b" ")
        await asyncio.sleep(0.02)
    assert await slow.status() == STATUS["timed_out"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        assert (await client.get(API, headers=as_user("ada"))).json()["conversations"] == []
    await app.close()


@pytest.mark.parametrize(
    ("target", "status"), [("http://x/api/health", 200), ("https://x/api/health", 200), ("http://x", 404)]
)
async def test_an_address_may_come_with_its_host(app: Application, target: str, status: int) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"method": "GET", "path": target, "raw_path": target.encode(), "query_string": b"", "headers": []}
    await app({"type": "http", **scope}, receive, send)
    assert sent[0]["status"] == status
