"""Bad input about the state of agents: each gets a clear error that says where or why, and loses nothing."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from asking import JSON, ask, check_refusal, send, someone

from support.backends import Backend
from threadkeep.http.messages import BODY_BYTES_MAX

pytestmark = pytest.mark.anyio

SPACE = "/api/journals/sessions"
JOURNAL = f"{SPACE}/kept"
ENTRIES = f"{JOURNAL}/entries"
HEAD_BYTES_MAX = 1_000_000


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a journal of two entries, which nothing that is refused changes."""
    client = someone(backend)
    assert (await send(client, "PUT", JOURNAL, {"head": {"a": 1}, "status": "open"})).status_code == 201
    appended = await send(client, "POST", ENTRIES, {"entries": [{"id": "1", "data": "one"}, {"data": {"two": 2}}]})
    assert appended.json() == {"first": 0, "last": 1, "version": 2}
    before = await everything(client)
    yield client
    assert await everything(client) == before


async def everything(client: httpx.AsyncClient) -> Any:
    journals = (await ask(client, "GET", SPACE)).json()["journals"]
    return journals, (await ask(client, "GET", ENTRIES)).json()["entries"]


# Names

GOOD_NAMES = [
    *(
        "a/b",
        "'\"`",
        '["agent-1","default"]',
        "{x}",
        "a b",
        "a+b",
        "a%2Fb",
        "?#&=;",
        "\\",
        "é漢😀",
        "...",
        "~",
        "search",
    ),
    *("k" * 512, "é" * 256, "-" * 3),
]
BAD_NAMES = ["k" * 513, "é" * 257, "a\nb", "\x00", "\x1f", "\x7f", "\x85", "a\t"]


async def test_a_name_is_any_text_and_comes_back_as_it_was_sent(backend: Backend, subtests: pytest.Subtests) -> None:
    client = someone(backend)
    for name in GOOD_NAMES:
        with subtests.test(name[:20]):
            place = f"/api/journals/names/{quote(name, safe='')}"
            put = await send(client, "PUT", place, {})
            assert (put.status_code, put.json()["key"], put.headers["etag"]) == (201, name, '"1"')
            assert put.headers["location"] == place
            assert (await ask(client, "GET", place)).json()["key"] == name
    listed = (await ask(client, "GET", "/api/journals/names")).json()["journals"]
    assert {journal["key"] for journal in listed} == {*GOOD_NAMES}


@pytest.mark.front_door
async def test_what_is_no_name_is_refused_and_the_place_named(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for name in BAD_NAMES:
        for place, at in ((f"{SPACE}/{quote(name)}", "key"), (f"/api/journals/{quote(name)}/k", "space")):
            for method, path in (
                ("GET", place),
                ("DELETE", place),
                ("POST", f"{place}/pop"),
                ("GET", f"{place}/entries"),
            ):
                with subtests.test(f"{method} {at} {name[:9]!r}"):
                    check_refusal(await ask(client, method, path), at=at, says=("bytes in UTF-8",))
    check_refusal(await ask(client, "GET", f"/api/journals/{'s' * 65}"), at="space", says=("1 to 64 bytes",))
    check_refusal(await ask(client, "GET", f"{SPACE}/%FF"), at="key", says=("not UTF-8",))
    check_refusal(await ask(client, "PUT", f"{SPACE}/", content=b"{}", headers=JSON), "not_found")
    for step in (".", ".."):
        refused = await ask(client, "PUT", f"{SPACE}/{quote(step).replace('.', '%2E')}", content=b"{}", headers=JSON)
        assert refused.status_code in (400, 404, 405)  # where the platform has not taken the step already


LABELS: list[tuple[str, str, dict[str, Any], str]] = [
    ("PUT", JOURNAL, {"kind": "a\n"}, "kind"),
    ("PUT", JOURNAL, {"status": "x" * 513}, "status"),
    ("PUT", JOURNAL, {"sort": "\u0000"}, "sort"),
    ("PATCH", JOURNAL, {"status": "é" * 257}, "status"),
    ("POST", f"{JOURNAL}/producer", {"producer": ""}, "producer"),
    ("POST", f"{JOURNAL}/producer", {"producer": "a\u0000b"}, "producer"),
    ("POST", ENTRIES, {"entries": [{"data": 1}, {"id": "", "data": 1}]}, "entries[1].id"),
    ("POST", ENTRIES, {"entries": [{"id": "a\u0000", "data": 1}]}, "entries[0].id"),
    ("POST", ENTRIES, {"remove": ["1", "\n"]}, "remove[1]"),
    ("POST", ENTRIES, {"entries": [{"id": "a", "data": 1}, {"id": "a", "data": 2}]}, "entries[1].id"),
]
WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("PUT", JOURNAL, {"mode": "update"}, "mode"),
    ("PUT", JOURNAL, {"expiresIn": 0}, "expiresIn"),
    ("PUT", JOURNAL, {"expiresIn": -5}, "expiresIn"),
    ("PUT", JOURNAL, {"expiresIn": 1e12}, "expiresIn"),
    ("PUT", JOURNAL, {"data": 1}, "data"),
    ("PATCH", JOURNAL, {"head": [1]}, "head"),
    ("PATCH", JOURNAL, {"head": None}, "head"),
    ("PATCH", JOURNAL, {"expiresIn": 1}, "expiresIn"),
    ("POST", f"{JOURNAL}/producer", {}, "producer"),
    ("POST", ENTRIES, {"entries": {}}, "entries"),
    ("POST", ENTRIES, {"entries": [{"id": "x"}]}, "entries[0].data"),
    ("POST", ENTRIES, {"entries": [], "at": -1}, "at"),
    ("POST", ENTRIES, {"entries": [{"data": 1}], "at": 2**53}, "at"),
    ("POST", ENTRIES, {"entries": [{"data": 1}], "at": 5, "cut": 1}, "at"),
    ("POST", ENTRIES, {"entries": [{"data": 1}], "producer": {"id": "p"}}, "producer.incarnation"),
    ("POST", ENTRIES, {"producer": {"id": "p", "incarnation": "i", "epoch": 1, "seq": 0}}, "entries"),
    ("POST", ENTRIES, {"expected": "2"}, "expected"),
    ("POST", ENTRIES, {"close": "yes"}, "close"),
]


@pytest.mark.front_door
async def test_a_wrong_value_is_refused_and_named(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for method, path, body, at in (*LABELS, *WRONG):
        with subtests.test(f"{method} {path} {str(body)[:60]}"):
            check_refusal(await send(client, method, path, body), at=at)


# Headers


@pytest.mark.front_door
async def test_a_name_of_a_write_that_is_none_is_refused(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    writes = [("PUT", JOURNAL, {"mode": "save"}), ("PATCH", JOURNAL, {}), ("POST", ENTRIES, {"entries": [{"data": 1}]})]
    writes.append(("POST", f"{JOURNAL}/producer", {"producer": "p"}))
    for method, path, body in writes:
        for name in ("a b", "x" * 65, "a,b", '"a"', "a/b", "é"):
            with subtests.test(f"{method} {path} {name}"):
                headers = [(b"Idempotency-Key", name.encode()), (b"Content-Type", b"application/json")]
                response = await ask(client, method, path, content=json.dumps(body).encode(), headers=headers)
                check_refusal(response, at="idempotency-key", says=("1 to 64 characters",))
    twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b"), ("Content-Type", "application/json")]
    check_refusal(await ask(client, "PUT", JOURNAL, content=b"{}", headers=twice), code="invalid")


@pytest.mark.front_door
async def test_an_if_match_that_is_no_version_is_refused(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for method, body in (("PUT", {"mode": "save"}), ("PATCH", {"status": "x"}), ("DELETE", None)):
        for version in ("2", '"02"', '"a"', "'2'", '"-1"', '"2", "3"', '"' + "9" * 16 + '"'):
            with subtests.test(f"{method} {version}"):
                content = {} if body is None else {"content": json.dumps(body).encode()}
                headers = {**JSON, "If-Match": version}
                check_refusal(await ask(client, method, JOURNAL, headers=headers, **content), at="if-match")
    replaces = await send(client, "PUT", JOURNAL, {"mode": "replace"}, **{"If-Match": '"2"'})
    check_refusal(replaces, at="mode", says=("Leave out `If-Match`",))


# What cannot be done now, and why


def reason(response: httpx.Response) -> tuple[int, str, str, dict[str, Any]]:
    error = response.json()["error"]
    details = error["details"]
    return response.status_code, error["code"], details.pop("reason"), details


async def test_a_refused_write_says_why(client: httpx.AsyncClient) -> None:
    for method, body in (("PUT", {"mode": "save"}), ("PATCH", {"status": "x"}), ("DELETE", None)):
        content = {} if body is None else {"content": json.dumps(body).encode()}
        refused = await ask(client, method, JOURNAL, headers={**JSON, "If-Match": '"7"'}, **content)
        assert reason(refused) == (412, "stale", "stale", {"version": 2})
    assert reason(await send(client, "POST", ENTRIES, {"expected": 1})) == (412, "stale", "stale", {"version": 2})
    other = await send(client, "PATCH", JOURNAL, {"statusIs": "done", "head": {"b": 1}})
    assert reason(other) == (412, "stale", "status", {"status": "open"})
    assert reason(await send(client, "PUT", JOURNAL, {"identity": "other"})) == (409, "conflict", "conflict", {})
    known = await send(client, "POST", ENTRIES, {"entries": [{"id": "1", "data": "another"}]})
    assert reason(known) == (409, "conflict", "conflict", {})
    placed = await send(client, "POST", ENTRIES, {"entries": [{"data": "another"}], "at": 1})
    assert reason(placed) == (409, "conflict", "conflict", {})
    none = await send(client, "PUT", f"{SPACE}/none", {"mode": "save"}, **{"If-Match": '"3"'})
    assert reason(none) == (412, "stale", "stale", {"version": 0})
    unclaimed = {"id": "p", "incarnation": "i", "epoch": 0, "seq": 0}
    nobody = await send(client, "POST", ENTRIES, {"entries": [{"data": 1}], "producer": unclaimed})
    assert reason(nobody) == (412, "stale", "fenced", {})
    for method, path, body in (
        ("PATCH", f"{SPACE}/none", {}),
        ("POST", f"{SPACE}/none/producer", {"producer": "p"}),
        ("POST", f"{SPACE}/none/entries", {"entries": [{"data": 1}]}),
    ):
        check_refusal(await send(client, method, path, body), "not_found", says=("none",))
    check_refusal(await ask(client, "GET", f"{SPACE}/none"), "not_found")
    check_refusal(await ask(client, "POST", f"{SPACE}/none/pop"), "not_found")
    assert (await ask(client, "DELETE", f"{SPACE}/none")).status_code == 204


async def test_a_producer_is_told_what_is_wrong(backend: Backend) -> None:
    client = someone(backend)
    await send(client, "PUT", JOURNAL, {})
    claims = [(await send(client, "POST", f"{JOURNAL}/producer", {"producer": "p"})).json() for _ in range(2)]
    first, last = ({"id": "p", "incarnation": each["incarnation"], "epoch": each["epoch"]} for each in claims)

    async def append(producer: dict[str, Any], seq: int, data: Any = 1) -> httpx.Response:
        body = {"entries": [{"data": data}], "producer": {**producer, "seq": seq}}
        return await send(client, "POST", ENTRIES, body)

    assert reason(await append(first, 0)) == (412, "stale", "fenced", {})
    assert reason(await append({**last, "incarnation": "another"}, 0)) == (412, "stale", "fenced", {})
    assert reason(await append(last, 3)) == (412, "stale", "gap", {"nextProducerSeq": 0})
    assert [(await append(last, 0)).status_code for _ in range(2)] == [201, 200]
    assert reason(await append(last, 0, "another")) == (409, "conflict", "conflict", {})
    assert reason(await ask(client, "POST", f"{JOURNAL}/pop")) == (412, "stale", "fenced", {})
    closing = {"entries": [{"data": 2}], "producer": {**last, "seq": 1}, "close": True}
    assert (await send(client, "POST", ENTRIES, closing)).status_code == 201
    assert reason(await append(last, 2)) == (409, "conflict", "closed", {})
    assert (await append(last, 0)).json() == {"first": 0, "last": 0, "version": 5}


async def test_a_space_that_nobody_has_written_to_is_empty_and_stays_so(backend: Backend) -> None:
    client = someone(backend)
    nowhere = "/api/journals/nowhere"
    assert (await ask(client, "GET", nowhere)).json() == {"journals": [], "nextCursor": None}
    assert (await ask(client, "DELETE", f"{nowhere}/none")).status_code == 204
    for method, step, body in (
        ("GET", "", None),
        ("GET", "/entries", None),
        ("POST", "/pop", None),
        ("POST", "/entries", {"entries": [{"data": 1}]}),
        ("POST", "/producer", {"producer": "p"}),
        ("PATCH", "", {"status": "s"}),
    ):
        path = f"{nowhere}/none{step}"
        refused = await (ask(client, method, path) if body is None else send(client, method, path, body))
        check_refusal(refused, "not_found", says=("none",))
    for method in ("GET", "HEAD", "DELETE"):
        assert (await ask(client, method, "/api/blobs/nowhere/none")).status_code == (
            204 if method == "DELETE" else 404
        )
    assert (await ask(client, "GET", nowhere)).json() == {"journals": [], "nextCursor": None}


# JSON that cannot be kept, and JSON that looks as if it could not


@pytest.mark.front_door
async def test_half_of_a_character_is_refused_and_it_says_what_to_do(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for method, path, body in (
        ("PUT", JOURNAL, rb'{"mode": "save", "head": "\ud83d"}'),
        ("PATCH", JOURNAL, rb'{"head": {"a": "x\udc00"}}'),
        ("POST", ENTRIES, rb'{"entries": [{"data": {"\ud83d\u0041": 1}}]}'),
        ("POST", ENTRIES, rb'{"entries": [{"id": "\ud83d", "data": 1}]}'),
    ):
        with subtests.test(body.decode()):
            says = ("half of a character", "send it as the text of a string")
            check_refusal(await send(client, method, path, body), at="body", says=says)


async def test_wrapped_as_text_it_is_kept_and_so_are_nul_and_all_numbers(backend: Backend) -> None:
    client = someone(backend)
    data = [
        json.dumps({"$json": r'{"text": "\ud83d"}'}, separators=(",", ":")),
        r'"\u0000\u2028"',
        "[1e400,1.10,-0.0,123456789012345678901234567890]",
        '{"a":1,"a":2}',
        "[" * 97 + "]" * 97,  # with what is around it, 100
    ]
    body = '{"create": true, "entries": [' + ", ".join(f'{{"data": {each}}}' for each in data) + "]}"
    assert (await send(client, "POST", ENTRIES, body.encode())).status_code == 201
    page = (await ask(client, "GET", ENTRIES)).text
    assert all(f'"data":{each}' in page for each in data)


@pytest.mark.front_door
async def test_json_that_is_nested_too_deep_is_refused(client: httpx.AsyncClient) -> None:
    deep = b"[" * 98 + b"]" * 98
    for method, path, body in (
        ("POST", ENTRIES, b'{"entries": [{"data": %s}]}' % deep),
        ("PUT", JOURNAL, b'{"mode": "save", "head": %s}' % (b"[" * 100 + b"]" * 100)),
    ):
        check_refusal(await send(client, method, path, body), at="body", says=("more than 100 levels",))


@pytest.mark.front_door
async def test_what_is_no_json_is_refused(client: httpx.AsyncClient) -> None:
    for body in (b"", b"{", b'{"entries": [NaN]}', b"[]", b'"{}"', b'{"head": "\xff"}'):
        check_refusal(await send(client, "POST", ENTRIES, body), at="body")
    check_refusal(await ask(client, "POST", ENTRIES, content=b"{}"), "unsupported_media_type", at="content-type")


# Sizes


@pytest.mark.front_door
async def test_what_is_over_a_limit_is_refused_and_named(client: httpx.AsyncClient) -> None:
    many = {"entries": [{"data": 1}] * 1_001}
    check_refusal(await send(client, "POST", ENTRIES, many), "too_large", at="entries", says=("At most 1000",))
    check_refusal(await send(client, "POST", ENTRIES, {"remove": ["a"] * 1_001}), "too_large", at="remove")
    head = "x" * (HEAD_BYTES_MAX - 1)  # and two quotes
    for method, path, body in (
        ("PUT", JOURNAL, {"mode": "save", "head": head}),
        ("POST", ENTRIES, {"head": head}),
    ):
        check_refusal(await send(client, method, path, body), "too_large", at="head", says=("1,000,000 bytes",))
    check_refusal(await send(client, "POST", ENTRIES, b" " * (BODY_BYTES_MAX + 1)), "too_large", at="body")


async def test_a_patch_that_makes_a_head_too_large_changes_nothing(client: httpx.AsyncClient) -> None:
    refused = await send(client, "PATCH", JOURNAL, {"head": {"b": "x" * (HEAD_BYTES_MAX - 10)}})
    check_refusal(refused, "too_large", at="head", says=("when it is merged",))


async def test_an_entry_may_fill_a_body_and_not_a_byte_more(backend: Backend) -> None:
    client = someone(backend)
    frame = '{"create":true,"entries":[{"id":"large","data":""}]}'
    text = "é" * ((BODY_BYTES_MAX - len(frame)) // 2)
    body = frame.replace('""', f'"{text}"').encode()
    body += b" " * (BODY_BYTES_MAX - len(body))
    check_refusal(await send(client, "POST", ENTRIES, body + b" "), "too_large", at="body")
    assert (await send(client, "POST", ENTRIES, body)).status_code == 201
    page = (await ask(client, "GET", ENTRIES)).json()
    assert [entry["data"] == text for entry in page["entries"]] == [True]


# Pages


@pytest.mark.front_door
async def test_a_wrong_query_is_refused_and_named(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for query, at in (
        *(("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"), ("limit=1&limit=2", "limit")),
        *(("after=-1", "after"), ("before=1.5", "before"), ("newest=yes", "newest"), ("head=1x", "head")),
        *(("since=0", "since"), ("cursor=", "cursor"), ("cursor=a%20b", "cursor"), ("cursor=~WyJl", "cursor")),
        *(("cursor=0", "cursor"), ("cursor=" + "a" * 4_001, "cursor"), ("after=1&cursor=~WyJl", "after")),
        *(("only=", "only"), ("only=%0A", "only"), ("beyond=%0A", "beyond"), ("beyond=a&cursor=~WyJl", "beyond")),
    ):
        with subtests.test(query[:30]):
            check_refusal(await ask(client, "GET", f"{ENTRIES}?{query}"), at=at)
    for query, at in (("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=x", "cursor"), ("kinds=a", "kinds")):
        check_refusal(await ask(client, "GET", f"{SPACE}?{query}"), at=at)


async def test_a_cursor_of_another_list_is_refused(client: httpx.AsyncClient) -> None:
    of_entries = (await ask(client, "GET", f"{ENTRIES}?limit=1")).json()["nextCursor"]
    check_refusal(await ask(client, "GET", f"{SPACE}?cursor={of_entries}"), at="cursor")
    check_refusal(await ask(client, "GET", f"/api/conversations?cursor={of_entries}"), at="cursor")


async def test_a_cursor_of_another_incarnation_or_from_before_a_removal_has_expired(backend: Backend) -> None:
    client = someone(backend)
    entries = {"create": True, "entries": [{"data": 1}, {"data": 2}]}
    for write in (("POST", f"{JOURNAL}/pop", {}), ("PUT", JOURNAL, {"mode": "replace"}), ("DELETE", JOURNAL, {})):
        await send(client, "POST", ENTRIES, entries)
        cursor = (await ask(client, "GET", f"{ENTRIES}?limit=1")).json()["nextCursor"]
        assert (await ask(client, "GET", f"{ENTRIES}?cursor={cursor}")).status_code == 200
        assert (await send(client, *write)).is_success
        await send(client, "POST", ENTRIES, {"create": True})
        expired = await ask(client, "GET", f"{ENTRIES}?cursor={cursor}")
        check_refusal(expired, "cursor_expired", says=("from the start",))
