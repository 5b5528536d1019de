"""Rows of journals over HTTP: out of one space and into another, in pieces, again, and after a cut."""

import json

import httpx
import pytest
from asking import ask, check_refusal, send, someone

from support.backends import Backend

pytestmark = pytest.mark.anyio

ROWS = "/api/journals/sessions/rows"
MOVED = "/api/journals/moved/rows"
NDJSON = {"Content-Type": "application/x-ndjson"}


def session(count: int, text: str = "é") -> str:
    entries = [{"id": f"{number}", "text": text} for number in range(count)]
    return json.dumps({"version": 3, "entries": entries, "leafId": None})


async def post(client: httpx.AsyncClient, path: str, content: bytes) -> dict[str, object]:
    response = await ask(client, "POST", path, content=content, headers=NDJSON)
    assert response.status_code == 200, response.text
    report: dict[str, object] = response.json()
    return report


def lines_of(response: httpx.Response) -> list[dict[str, object]]:
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


async def test_rows_come_in_and_out_and_from_space_to_space(backend: Backend) -> None:
    client = someone(backend)
    rows = [
        {"id": 'agent-session:["a","b"]', "data": session(3), "updated_at": 2_000},
        {"id": "long", "data": session(1_500, "x" * 1_000), "updated_at": 3_000},
        {"id": "not JSON", "data": "plain \\u00e9\n", "updated_at": 1_000},
    ]
    content = "\n".join(map(json.dumps, rows)).encode()
    assert await post(client, ROWS, content) == {"kept": 3, "same": 0, "older": 0, "skipped": []}
    assert await post(client, ROWS, content) == {"kept": 0, "same": 3, "older": 0, "skipped": []}
    everything = await ask(client, "GET", ROWS)
    found = lines_of(everything)
    in_order = [rows[2], rows[0], rows[1]]
    assert [(row["id"], row["updated_at"]) for row in found] == [(row["id"], row["updated_at"]) for row in in_order]
    assert [row["data"] for row in found[:1]] == ["plain \\u00e9\n"]
    assert [json.loads(str(row["data"])) for row in found[1:]] == [json.loads(str(row["data"])) for row in in_order[1:]]
    assert await post(client, MOVED, everything.content) == {"kept": 3, "same": 0, "older": 0, "skipped": []}
    assert (await ask(client, "GET", MOVED)).content == everything.content
    after = await ask(client, "GET", ROWS, params={"after": f"2000,{rows[0]['id']}"})
    assert [row["id"] for row in lines_of(after)] == ["long"]
    entries = (await ask(client, "GET", "/api/journals/sessions/long/entries?newest=true&limit=1")).json()["entries"]
    assert (entries[0]["id"], entries[0]["data"]["text"]) == ("1499", "x" * 1_000)
    newer = {**rows[0], "data": session(4), "updated_at": 2_001}
    older = {**rows[1], "data": session(1), "updated_at": 2_999}
    report = await post(client, ROWS, "\n".join(map(json.dumps, (newer, older))).encode())
    assert report == {"kept": 1, "same": 0, "older": 1, "skipped": []}


@pytest.mark.front_door
async def test_a_wrong_row_is_skipped_and_anything_else_that_is_wrong_refused(backend: Backend) -> None:
    client = someone(backend)
    large = b'{"id": "x", "data": "' + b"x" * (8 * 1024 * 1024) + b'", "updated_at": 1}'
    wrong = [b"{", b"[]", b'{"id": "", "data": "1", "updated_at": 1}', b'{"id": "a", "data": "1", "updated_at": 1.5}']
    wrong += [large, b'{"id": "rows", "data": "1", "updated_at": 1}']
    report = await post(client, ROWS, b"\n".join([*wrong, b'{"id": "good", "data": "1", "updated_at": 1}', b""]))
    skipped = report.pop("skipped")
    assert report == {"kept": 1, "same": 0, "older": 0}
    assert isinstance(skipped, list)
    assert [(each["index"], each["error"]["code"]) for each in skipped] == [
        *((index, "invalid") for index in range(4)),
        *((4, "too_large"), (5, "invalid")),
    ]
    assert all(each["error"]["message"].endswith((".", ".`")) for each in skipped)
    check_refusal(await send(client, "POST", ROWS, {}), "unsupported_media_type", at="content-type")
    for after in ("1", "x,y", "", "-1,a"):
        check_refusal(await ask(client, "GET", ROWS, params={"after": after}), at="after")
    check_refusal(await ask(client, "GET", f"/api/journals/{'s' * 65}/rows"), at="space")
    check_refusal(await ask(client, "POST", f"/api/journals/{'s' * 65}/rows", content=b"", headers=NDJSON), at="space")
    check_refusal(await ask(client, "PUT", ROWS, content=b"{}"), "method_not_allowed")
    listed = await ask(client, "GET", "/api/journals/sessions?order=updated&status=s")
    check_refusal(listed, at="status", says=("Leave out `order`",))
    check_refusal(await ask(client, "GET", "/api/journals/sessions?order=key"), at="order")
