"""Blobs over HTTP: what is answered, what is refused and where, and that nobody meets what is somebody else's."""

import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from asking import ask, check_refusal, someone

from support.backends import Backend
from support.routes import USER_ROUTES
from threadkeep.http.messages import BODY_BYTES_MAX
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

SPACE = "/api/blobs/files"
BLOB = f"{SPACE}/kept"
CONTENT = b"<script>alert(1)</script>\x00\xff"
HEADERS = {"Content-Type": "text/html; charset=utf-8", "X-Meta": '{"name": "p\\u00e4ge"}'}


def digest_of(content: bytes) -> str:
    return f"sha-256=:{b64encode(hashlib.sha256(content).digest()).decode()}:"


async def put(client: httpx.AsyncClient, place: str = BLOB, content: bytes = CONTENT, **headers: str) -> httpx.Response:
    return await ask(client, "PUT", place, content=content, headers={**HEADERS, **headers})


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a blob, which nothing that is refused changes."""
    client = someone(backend)
    assert (await put(client)).status_code == 201
    yield client
    kept = await ask(client, "GET", BLOB)
    assert (kept.content, kept.headers["x-meta"]) == (CONTENT, '{"name":"p\\u00e4ge"}')


async def test_a_blob_comes_back_with_its_type_and_no_browser_runs_it(backend: Backend) -> None:
    client = someone(backend)
    new = await put(client, f"{BLOB}?expiresIn=60")
    told = new.json()
    assert (new.status_code, new.headers["location"]) == (201, f"{BLOB}?expiresIn=60".partition("?")[0])
    assert told["expiresAt"] == told["createdAt"] + 60_000
    assert (told["size"], told["meta"], told["mediaType"]) == (len(CONTENT), {"name": "päge"}, HEADERS["Content-Type"])
    kept = await ask(client, "GET", BLOB)
    assert kept.content == CONTENT
    expected = {
        "content-type": HEADERS["Content-Type"],
        "content-digest": digest_of(CONTENT),
        "etag": f'"{hashlib.sha256(CONTENT).hexdigest()}"',
        "x-meta": '{"name":"p\\u00e4ge"}',
        "x-created-at": str(told["createdAt"]),
        "x-expires-at": str(told["expiresAt"]),
        "content-disposition": "attachment",
        "content-security-policy": "default-src 'none'; sandbox",
        "x-content-type-options": "nosniff",
    }
    assert {name: kept.headers.get(name) for name in expected} == expected
    head = await ask(client, "HEAD", BLOB)
    assert (head.status_code, head.content) == (200, b"")
    assert {name: head.headers.get(name) for name in expected} == expected
    assert (await put(client)).status_code == 200
    for _ in range(2):
        assert (await ask(client, "DELETE", BLOB)).status_code == 204
    check_refusal(await ask(client, "GET", BLOB), "not_found", says=("kept",))
    assert (await ask(client, "HEAD", BLOB)).status_code == 404


async def test_another_blob_under_the_same_key_is_a_conflict(client: httpx.AsyncClient) -> None:
    for refused in (
        await put(client, content=b"other"),
        await put(client, **{"X-Meta": "{}"}),
        await put(client, **{"Content-Type": "text/plain"}),
    ):
        check_refusal(refused, "conflict", says=("never change",))
        assert refused.json()["error"]["details"] == {"reason": "conflict"}


@pytest.mark.front_door
async def test_bytes_that_are_not_those_of_the_digest_are_refused(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for digest, says in (
        (digest_of(b"other"), "have another SHA-256"),
        (digest_of(CONTENT)[:-3] + "=:", "Send the SHA-256"),
        (hashlib.sha256(CONTENT).hexdigest(), "Send the SHA-256"),
        ("sha-256=" + digest_of(CONTENT)[9:-1], "Send the SHA-256"),
        ("sha-512=:AAAA:", "Send the SHA-256"),
        ("", "Send the SHA-256"),
    ):
        with subtests.test(digest):
            refused = await put(client, f"{SPACE}/new", **{"Content-Digest": digest})
            check_refusal(refused, at="content-digest", says=(says,))
    check_refusal(await ask(client, "GET", f"{SPACE}/new"), "not_found")
    among_others = f"sha-512=:AAAA:, {digest_of(CONTENT)}"
    assert (await put(client, f"{SPACE}/new", **{"Content-Digest": among_others})).status_code == 201


@pytest.mark.front_door
async def test_what_else_does_not_fit_is_refused_and_named(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    wrong: list[tuple[str, dict[str, str], str]] = [
        *(("", {"X-Meta": meta}, "x-meta") for meta in ("{", "[]", "null", '"{}"', "{'a':1}", '{"a":"\\ud83d"}', "")),
        ("", {"X-Meta": '{"a":' + "[" * 100 + "]" * 100 + "}"}, "x-meta"),
        *(("", {"Content-Type": media_type}, "content-type") for media_type in ("png", "image/", "a/b/c", "x" * 256)),
        *((f"?expiresIn={value}", {}, "expiresIn") for value in ("0", "-1", "x", "1.5", "9" * 15)),
        ("?expires=1", {}, "expires"),
    ]
    for query, headers, at in wrong:
        with subtests.test(f"{query} {str(headers)[:60]}"):
            check_refusal(await put(client, f"{SPACE}/new{query}", **headers), at=at)
    meta = '{"a":"' + "x" * 8_000 + '"}'
    check_refusal(await put(client, **{"X-Meta": meta}), "too_large", at="x-meta", says=("8,000 bytes",))
    refused = await put(client, **{"Content-Encoding": "gzip"})
    check_refusal(refused, "unsupported_media_type", at="content-encoding")
    for name in ("k" * 513, "a\nb", "\x00"):
        for method in ("PUT", "GET", "DELETE"):
            check_refusal(await ask(client, method, f"{SPACE}/{quote(name)}"), at="key")
    check_refusal(await ask(client, "GET", f"/api/blobs/{'s' * 65}/k"), at="space")
    check_refusal(await ask(client, "GET", f"{SPACE}/%FF"), at="key", says=("not UTF-8",))
    check_refusal(await ask(client, "GET", f"{SPACE}/new"), "not_found")


async def test_a_blob_fills_a_body_and_not_a_byte_more(backend: Backend) -> None:
    client = someone(backend)
    content = bytes(range(256)) * (BODY_BYTES_MAX // 256)
    check_refusal(await put(client, content=content + b"x"), "too_large", at="body")
    assert (await put(client, content=content, **{"Content-Digest": digest_of(content)})).status_code == 201
    assert (await ask(client, "GET", BLOB)).content == content


async def test_what_one_user_does_the_other_does_not_meet(backend: Backend) -> None:
    secrets = [f"secret{new_id()}" for _ in range(2)]
    alice, bob = (someone(backend) for _ in range(2))
    fields = [{"Content-Type": f"text/{secret}", "X-Meta": f'{{"{secret}":1}}'} for secret in secrets]
    for user, secret, headers in zip((alice, bob), secrets, fields, strict=True):
        assert (await put(user, f"{SPACE}/shared", secret.encode(), **headers)).status_code == 201
    assert (await put(alice, f"{SPACE}/hers", secrets[0].encode(), **fields[0])).status_code == 201

    async def hers() -> list[Any]:
        found = [await ask(alice, "GET", f"{SPACE}/{key}") for key in ("shared", "hers")]
        return [
            (each.status_code, each.content, each.headers["x-meta"], each.headers["x-created-at"]) for each in found
        ]

    before = await hers()
    questions = {
        ("PUT", "shared"): 409,
        ("PUT", "hers"): 201,
        ("GET", "shared"): 200,
        ("GET", "hers"): 200,
        ("HEAD", "hers"): 200,
        ("DELETE", "hers"): 204,
        ("DELETE", "shared"): 204,
    }
    assert {method for method, _ in questions} == {
        "HEAD",
        *(route.method for route in USER_ROUTES if route.path == "/api/blobs/{space}/{key}"),
    }
    check_refusal(await ask(bob, "GET", f"{SPACE}/hers"), "not_found")
    for (method, key), status in questions.items():
        content = {"content": b"his"} if method == "PUT" else {}
        answer = await ask(bob, method, f"{SPACE}/{key}", **content)
        assert (answer.status_code, secrets[0] in f"{answer.text} {answer.headers}") == (status, False)
        assert await hers() == before
