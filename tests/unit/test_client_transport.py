"""What a client sends again, how long it waits before that, and that nothing is done twice."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from support.in_process import SERVICE_KEY, over_memory
from threadkeep.agents.journals import service
from threadkeep.agents.journals.models import NewProducer, Producer
from threadkeep.client import AsyncClient, RemoteState
from threadkeep.client.transport import PAUSE_SECONDS_MAX, TRIES_MAX, Transport
from threadkeep.conformance.helpers.journals import KEY, SPACE, append, contents, patch, plain, put
from threadkeep.conversations.models import NewConversation
from threadkeep.conversations.records import ConversationEdit
from threadkeep.conversations.service import conversation_record
from threadkeep.errors import Invalid, NotFound, RateLimited, Unavailable
from threadkeep.storage.memory.store import MemoryDatabase
from threadkeep.work import finished

pytestmark = pytest.mark.anyio

BUSY = {"error": {"code": "unavailable", "message": "Try again."}}
Do = Callable[[RemoteState], Awaitable[Any]]


class Answers(httpx.AsyncBaseTransport):
    """Answers one request after the other as it is told, and remembers them."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class LosesAnswers(httpx.AsyncBaseTransport):
    """Has each request done, and then breaks the connection, the first time that it is sent."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.lost = 0
        self.sent: list[httpx.Request] = []
        self._is_again = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        response = await self._inner.handle_async_request(request)
        self._is_again = not self._is_again
        if self._is_again:
            self.lost += 1
            raise httpx.ReadError("the connection broke")
        return response


def transport_over(answers: httpx.AsyncBaseTransport, waits: list[float] | None = None) -> Transport:
    async def sleep(seconds: float) -> None:
        if waits is not None:
            waits.append(seconds)

    client = httpx.AsyncClient(base_url="http://threadkeep", transport=answers, headers=AS_ADA)
    return Transport(client, sleep)


AS_ADA = {"Authorization": f"Bearer {SERVICE_KEY}", "X-User-Id": "ada"}


def busy(status: int = 503, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=BUSY, headers={name.replace("_", "-"): text for name, text in headers.items()})


async def test_what_is_read_is_sent_again_three_times_and_waited_for_longer_each_time() -> None:
    waits: list[float] = []
    answers = Answers(httpx.ConnectError("no"), busy(502), httpx.ReadTimeout("no"), httpx.Response(200))
    response = await transport_over(answers, waits).send("GET", "/api/conversations")
    assert (response.status_code, len(answers.requests)) == (200, TRIES_MAX)
    assert waits == [0.1, 0.2, 0.4]


@pytest.mark.parametrize("last", [busy(504), httpx.RemoteProtocolError("no")])
async def test_after_the_fourth_time_it_is_unavailable(last: httpx.Response | Exception) -> None:
    answers = Answers(busy(), busy(), busy(), last)
    with pytest.raises(Unavailable):
        await transport_over(answers).send("GET", "/api/conversations")
    assert len(answers.requests) == TRIES_MAX


async def test_it_waits_as_long_as_the_server_says_and_not_for_ever() -> None:
    waits: list[float] = []
    answers = Answers(
        busy(Retry_After="1"), busy(429, Retry_After="99999"), busy(Retry_After="soon"), httpx.Response(200)
    )
    await transport_over(answers, waits).send("GET", "/")
    assert waits == [1, PAUSE_SECONDS_MAX, 0.4]


async def test_what_is_refused_is_not_sent_again() -> None:
    for status, code, kind in ((404, "not_found", NotFound), (400, "invalid", Invalid)):
        answers = Answers(httpx.Response(status, json={"error": {"code": code, "message": "No."}}))
        with pytest.raises(kind):
            await transport_over(answers).send("GET", "/")


async def test_an_address_that_is_none_is_not_tried_again() -> None:
    with pytest.raises(Unavailable):
        await Transport(httpx.AsyncClient(base_url="gopher://threadkeep")).send("GET", "/")


async def test_a_write_that_would_be_done_twice_is_sent_once() -> None:
    limited = httpx.Response(429, json={"error": {"code": "rate_limited", "message": "Later."}})
    for answer, kind in ((busy(), Unavailable), (httpx.ReadError("no"), Unavailable), (limited, RateLimited)):
        answers = Answers(answer)
        state = RemoteState(transport_over(answers))
        with pytest.raises(kind):
            await append(state, "without an id")
        assert len(answers.requests) == 1
    for method, do in (
        ("POST", lambda client: client.state.pop_entry(SPACE, KEY)),
        ("PATCH", lambda client: client.store.update_conversation("a", ConversationEdit(title="A"))),
        ("DELETE", lambda client: client.store.delete_conversation("a", expected_version=1)),
        ("DELETE", lambda client: client.store.erase()),
    ):
        answers = Answers(httpx.ReadError("no"))
        with pytest.raises(Unavailable):
            await do(AsyncClient("http://threadkeep", key="k", user="ada", transport=answers))
        assert [request.method for request in answers.requests] == [method]


async def claim(state: RemoteState, name: str = "writer") -> Producer:
    journal = await service.acquire_producer(state, SPACE, KEY, NewProducer(producer=name), request=None)
    return Producer(id=name, incarnation=journal.incarnation, epoch=journal.epoch, seq=0)


async def by_ids(state: RemoteState) -> None:
    await append(state, ("a", 1), ("b", 2))


async def by_place(state: RemoteState) -> None:
    await append(state, 1, 2, at=7)


async def by_a_producer(state: RemoteState) -> None:
    await append(state, 1, 2, producer=await claim(state))


async def by_cutting(state: RemoteState) -> None:
    await append(state, ("x", 0))
    await append(state, ("a", 1), ("b", 2), cut=0, head={"n": 1}, status="done")


@pytest.mark.parametrize("do", [by_ids, by_place, by_a_producer, by_cutting])
async def test_an_append_whose_answer_is_lost_is_done_once(do: Do) -> None:
    database = MemoryDatabase()
    lossy = LosesAnswers(over_memory(database))
    state = RemoteState(transport_over(lossy))
    await put(state, head={"n": 0})
    await do(state)
    assert lossy.lost * 2 == len(lossy.sent)
    assert await contents(database.open_store("ada").state) == [1, 2]
    # Each was sent again under the name that it had.
    names = [request.headers["Idempotency-Key"] for request in lossy.sent]
    assert names[::2] == names[1::2]
    assert len(set(names)) == lossy.lost


async def test_every_other_write_whose_answer_is_lost_is_done_once() -> None:
    database = MemoryDatabase()
    lossy = LosesAnswers(over_memory(database))
    state = RemoteState(transport_over(lossy))
    behind = database.open_store("ada").state
    await put(state, head={"n": 0}, kind="run")
    assert (await behind.get_journal(SPACE, KEY)).version == 1
    await put(state, mode="save", head={"n": 1}, kind="run")
    assert (await behind.get_journal(SPACE, KEY)).version == 2
    patched = await patch(state, head={"m": 2}, status="open", expected=2)
    assert (patched.version, plain(patched.head)) == (3, {"n": 1, "m": 2})
    claimed = await claim(state)
    assert claimed.epoch == (await behind.get_journal(SPACE, KEY)).epoch == 1
    replaced, _ = await put(state, mode="replace", head="anew")
    assert (replaced.version, replaced.epoch) == (1, 0)
    await state.delete_journal(SPACE, KEY, expected=1)
    assert (await behind.list_journals(SPACE)).journals == []
    assert lossy.lost * 2 == len(lossy.sent)


async def test_a_conversation_whose_answers_are_lost_is_the_same() -> None:
    database = MemoryDatabase()
    lossy = LosesAnswers(over_memory(database))
    remote = AsyncClient("http://threadkeep", key=SERVICE_KEY, user="ada", transport=lossy)
    remote.store._transport._sleep = at_once
    record = finished(conversation_record(NewConversation(id="a", title="A")))
    assert (await remote.store.create_conversation(record))[0].title == "A"
    edit = ConversationEdit(title="B", edited_at=5)
    assert (await remote.store.update_conversation("a", edit)).title == "B"
    await remote.store.delete_conversation("a")
    assert (await remote.store.restore_conversation("a")).title == "B"
    assert lossy.lost * 2 == len(lossy.sent)
    await remote.aclose()


async def at_once(seconds: float) -> None:
    """Wait for nothing."""
