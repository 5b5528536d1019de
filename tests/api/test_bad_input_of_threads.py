"""Bad input about threads: each gets a clear error that says where or why, and loses nothing."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from asking import JSON, ask, check_refusal, send, someone
from test_bad_input_of_state import BAD_NAMES, GOOD_NAMES, reason

from support.backends import Backend
from threadkeep.conformance.helpers.threads import encoded
from threadkeep.http.messages import BODY_BYTES_MAX

pytestmark = pytest.mark.anyio

THREADS = "/api/threads"
THREAD = f"{THREADS}/kept"
CHECKPOINTS = f"{THREAD}/checkpoints"
WRITES = f"{THREAD}/writes"
DELTAS = f"{THREAD}/deltas"
PRUNE, DELETE = "/api/checkpoints/prune", "/api/checkpoints/delete"
DATA: dict[str, Any] = encoded(1)


def checkpoint(id_: str = "1", **fields: Any) -> dict[str, Any]:
    return {"id": id_, **DATA, **fields}


def writes(*writes: Any, **fields: Any) -> dict[str, Any]:
    return {"checkpoint": "1", "task": "t", "writes": list(writes), **fields}


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a thread that is claimed, which nothing that is refused changes."""
    client = someone(backend)
    value = {"channel": "a", "version": "1", **DATA}
    new = checkpoint(stored={"a": "1"}, values=[value], metadata={"run_id": "r", "step": 1})
    assert (await send(client, "POST", CHECKPOINTS, new)).status_code == 200
    assert (await ask(client, "POST", f"{THREAD}/owner")).json()["epoch"] == 1
    before = await everything(client)
    yield client
    assert await everything(client) == before


async def everything(client: httpx.AsyncClient) -> Any:
    return [(await ask(client, "GET", path)).json() for path in (THREADS, "/api/checkpoints")]


async def test_a_name_is_any_text_and_comes_back_as_it_was_sent(backend: Backend, subtests: pytest.Subtests) -> None:
    client = someone(backend)
    for name in [*GOOD_NAMES, "prune", "delete", "checkpoints"]:
        with subtests.test(name[:20]):
            place = f"{THREADS}/{quote(name, safe='')}"
            put = await send(client, "POST", f"{place}/checkpoints", checkpoint(name, ns=name))
            assert (put.status_code, put.json()["thread"]) == (200, name)
            asked = {"ns": name, "checkpoint": name}
            (found,) = (await ask(client, "GET", f"{place}/checkpoints", params=asked)).json()["checkpoints"]
            assert (found["thread"], found["ns"], found["id"]) == (name, name, name)
            assert (await ask(client, "DELETE", place)).status_code == 204
    assert (await ask(client, "GET", THREADS)).json() == {"threads": [], "nextCursor": None}


@pytest.mark.front_door
async def test_what_is_no_name_is_refused_and_the_place_named(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for name in BAD_NAMES:
        place = f"{THREADS}/{quote(name)}"
        for method, path, body in (
            ("GET", f"{place}/checkpoints", None),
            ("GET", f"{place}/deltas?channels=[]", None),
            ("DELETE", place, None),
            ("POST", f"{place}/owner", None),
            ("POST", f"{place}/copy", {"source": "kept"}),
            ("POST", f"{place}/checkpoints", checkpoint()),
            ("POST", f"{place}/writes", writes()),
        ):
            with subtests.test(f"{method} {path[-12:]} {name[:9]!r}"):
                content = {} if body is None else {"content": json.dumps(body).encode(), "headers": JSON}
                check_refusal(await ask(client, method, path, **content), at="thread", says=("bytes in UTF-8",))
        for query in ("checkpoint", "before", "ns"):
            with subtests.test(f"{query} {name[:9]!r}"):
                check_refusal(await ask(client, "GET", f"{CHECKPOINTS}?{query}={quote(name)}"), at=query)


WRITE = {"idx": 0, "channel": "a", **DATA}
VALUE = {"channel": "a", "version": "1", **DATA}
WRONG: list[tuple[str, Any, str]] = [
    (CHECKPOINTS, {"type": "json", "data": ""}, "id"),
    (CHECKPOINTS, checkpoint(""), "id"),
    (CHECKPOINTS, checkpoint(ns="a\n"), "ns"),
    (CHECKPOINTS, checkpoint(parent="1"), "parent"),
    (CHECKPOINTS, checkpoint(parent=""), "parent"),
    (CHECKPOINTS, checkpoint(metadata=[1]), "metadata"),
    (CHECKPOINTS, checkpoint(metadata="text"), "metadata"),
    (CHECKPOINTS, checkpoint(metadata=None), "metadata"),
    (CHECKPOINTS, checkpoint(stored={"a": 1}), "stored[...]"),
    (CHECKPOINTS, checkpoint(stored={"a\u0000": "1"}), "stored"),
    (CHECKPOINTS, checkpoint(stored=["a"]), "stored"),
    (CHECKPOINTS, checkpoint(type=""), "type"),
    (CHECKPOINTS, checkpoint(data="YQ"), "data"),
    (CHECKPOINTS, checkpoint(data="Y Q="), "data"),
    (CHECKPOINTS, checkpoint(data=None), "data"),
    (CHECKPOINTS, checkpoint(values=[VALUE, {**VALUE, "version": 1}]), "values[1].version"),
    (CHECKPOINTS, checkpoint(values=[{**VALUE, "data": "%"}]), "values[0].data"),
    (CHECKPOINTS, checkpoint(epoch=-1), "epoch"),
    (CHECKPOINTS, checkpoint(expiresIn=0), "expiresIn"),
    (CHECKPOINTS, checkpoint(expiresIn=-60), "expiresIn"),
    (CHECKPOINTS, checkpoint(run="r"), "run"),
    (WRITES, writes({**WRITE, "idx": 2**31}), "writes[0].idx"),
    (WRITES, writes({**WRITE, "channel": ""}), "writes[0].channel"),
    (WRITES, writes({**WRITE, "data": "a"}), "writes[0].data"),
    (WRITES, writes(WRITE, task=""), "task"),
    (WRITES, writes(WRITE, path="\u0000"), "path"),
    (WRITES, {"checkpoint": "1", "task": "t"}, "writes"),
    (f"{THREAD}/copy", {}, "source"),
    (f"{THREAD}/copy", {"source": "kept"}, "source"),
    (f"{THREAD}/copy", {"source": "a\n"}, "source"),
    (PRUNE, {"keep": "latest"}, "threads"),
    (PRUNE, {"keep": "latest", "threads": ["kept"], "updatedBefore": 1}, "threads"),
    (PRUNE, {"keep": "all", "threads": ["kept"]}, "keep"),
    (PRUNE, {"threads": ["kept"]}, "keep"),
    (PRUNE, {"keep": "none", "threads": ["kept", ""]}, "threads[1]"),
    (PRUNE, {"keep": "none", "updatedBefore": "2026-01-01"}, "updatedBefore"),
    (DELETE, {"runs": "r"}, "runs"),
    (DELETE, {"runs": ["r", "\n"]}, "runs[1]"),
    (DELETE, {}, "runs"),
]


@pytest.mark.front_door
async def test_a_wrong_value_is_refused_and_named(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for path, body, at in WRONG:
        with subtests.test(f"{path} {str(body)[:80]}"):
            check_refusal(await send(client, "POST", path, body), at=at)


@pytest.mark.front_door
async def test_a_wrong_query_is_refused_and_named(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for path, query, at in (
        *((path, query, "limit") for path in (THREADS, CHECKPOINTS) for query in ("limit=0", "limit=1001", "limit=x")),
        *((path, f"cursor={text}", "cursor") for path in (THREADS, CHECKPOINTS) for text in ("", "0", "~", "~WyJl")),
        *((path, "cursor=~WyJrIiwiMSJd", "cursor") for path in (THREADS, CHECKPOINTS, "/api/checkpoints")),
        *((CHECKPOINTS, f"filter={text}", "filter") for text in ("", "{", "[1]", "1", '"a"', "null", '{"a":}')),
        (CHECKPOINTS, 'filter={"a":"\\ud83d"}', "filter"),
        ("/api/checkpoints", "ns=", "ns"),
        ("/api/checkpoints", "filter={'a':1}", "filter"),
        (DELTAS, "", "channels"),
        *(
            (DELTAS, f"channels={text}", at)
            for text, at in (("", "channels"), ("a", "channels"), ('{"a":1}', "channels"))
        ),
        *((DELTAS, f"channels={text}", at) for text, at in (("[1]", "channels"), ('["a",""]', "channels[1]"))),
        (DELTAS, "channels=[]&cursor=~WyJrIl0", "cursor"),
        (DELTAS, "channels=[]&checkpoint=\x00", "checkpoint"),
    ):
        with subtests.test(f"{path} {query}"):
            check_refusal(await ask(client, "GET", f"{path}?{quote(query, safe='=&')}"), at=at)


@pytest.mark.front_door
async def test_what_is_over_a_limit_is_refused_and_named(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for path, body, at in (
        (CHECKPOINTS, checkpoint(metadata={"a": "x" * 65_536}), "metadata"),
        (CHECKPOINTS, checkpoint(values=[VALUE] * 1_001), "values"),
        (CHECKPOINTS, checkpoint(stored={str(number): None for number in range(1_001)}), "stored"),
        (CHECKPOINTS, checkpoint(stored={f"{number:0>500}": None for number in range(600)}), "stored"),
        (WRITES, writes(*[WRITE] * 1_001), "writes"),
        (PRUNE, {"keep": "none", "threads": ["kept"] * 1_001}, "threads"),
        (DELETE, {"runs": ["r"] * 1_001}, "runs"),
        (CHECKPOINTS, b" " * (BODY_BYTES_MAX + 1), "body"),
    ):
        with subtests.test(f"{path} {at}"):
            check_refusal(await send(client, "POST", path, body), "too_large", at=at)
    channels = json.dumps([str(number) for number in range(101)])
    check_refusal(await ask(client, "GET", DELTAS, params={"channels": channels}), "too_large", at="channels")


@pytest.mark.front_door
async def test_a_name_of_a_claim_that_is_none_is_refused(client: httpx.AsyncClient) -> None:
    for name in ("a b", "x" * 65, "a,b", '"a"'):
        refused = await ask(client, "POST", f"{THREAD}/owner", headers={"Idempotency-Key": name})
        check_refusal(refused, at="idempotency-key", says=("1 to 64 characters",))


@pytest.mark.front_door
async def test_half_of_a_character_and_json_that_is_none_are_refused(client: httpx.AsyncClient) -> None:
    new = json.dumps(checkpoint())[:-1].encode()
    for body in (rb', "metadata": {"a": "\ud83d"}}', rb', "metadata": {"\udc00": 1}}', rb', "ns": "\ud83d"}'):
        check_refusal(await send(client, "POST", CHECKPOINTS, new + body), at="body", says=("half of a character",))
    for body in (b"", b"{", b"[]", b'"{}"', new + b', "ns": "\xff"}', new + b', "metadata": {"a": NaN}}'):
        check_refusal(await send(client, "POST", CHECKPOINTS, body), at="body")
    deep = b', "metadata": {"a": %s}}' % (b"[" * 99 + b"]" * 99)
    check_refusal(await send(client, "POST", CHECKPOINTS, new + deep), at="body", says=("more than 100 levels",))
    check_refusal(await ask(client, "POST", CHECKPOINTS, content=b"{}"), "unsupported_media_type", at="content-type")


async def test_who_has_not_the_last_claim_is_fenced_and_told_so(client: httpx.AsyncClient) -> None:
    await send(client, "POST", f"{THREADS}/other/checkpoints", checkpoint())
    for epoch in (0, 2, 2**53 - 1):
        for path, body in (
            (CHECKPOINTS, checkpoint("2", epoch=epoch, values=[VALUE], expiresIn=60)),
            (WRITES, writes(WRITE, epoch=epoch)),
            (f"{THREAD}/copy", {"source": "other", "epoch": epoch}),
            (f"{THREADS}/absent/checkpoints", checkpoint(epoch=epoch or 1)),
        ):
            assert reason(await send(client, "POST", path, body)) == (412, "stale", "fenced", {})
    missing = await send(client, "POST", f"{THREAD}/copy", {"source": "absent", "epoch": 1})
    check_refusal(missing, "not_found", says=("There is no thread absent",))
    assert (await ask(client, "DELETE", f"{THREADS}/other")).status_code == 204
    assert (await ask(client, "DELETE", f"{THREADS}/other")).status_code == 204
    assert (await send(client, "POST", PRUNE, {"keep": "none", "threads": ["absent"]})).json() == {"more": False}
    assert (await send(client, "POST", DELETE, {"runs": ["absent"]})).json() == {"more": False}


async def test_a_cursor_of_another_list_is_refused(client: httpx.AsyncClient) -> None:
    await send(client, "POST", f"{THREADS}/other/checkpoints", checkpoint())
    of_checkpoints = (await ask(client, "GET", "/api/checkpoints?limit=1")).json()["nextCursor"]
    of_threads = (await ask(client, "GET", f"{THREADS}?limit=1")).json()["nextCursor"]
    for path, cursor in ((THREADS, of_checkpoints), (CHECKPOINTS, of_threads), ("/api/journals/s", of_threads)):
        check_refusal(await ask(client, "GET", f"{path}?cursor={cursor}"), at="cursor")
    await ask(client, "DELETE", f"{THREADS}/other")


async def test_a_value_may_fill_a_body_and_not_a_byte_more(backend: Backend) -> None:
    client = someone(backend)
    frame = json.dumps(checkpoint(data="")).encode()
    data = "A" * ((BODY_BYTES_MAX - len(frame)) // 4 * 4)
    body = frame.replace(b'"data": ""', f'"data": "{data}"'.encode())
    body += b" " * (BODY_BYTES_MAX - len(body))
    check_refusal(await send(client, "POST", CHECKPOINTS, body + b" "), "too_large", at="body")
    assert (await send(client, "POST", CHECKPOINTS, body)).status_code == 200
    (found,) = (await ask(client, "GET", CHECKPOINTS)).json()["checkpoints"]
    assert found["data"] == data
