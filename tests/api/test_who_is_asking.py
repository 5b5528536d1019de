"""Who is asking: tokens, service keys and user ids, what anybody may know, and which browsers may ask."""

import base64
import hmac
import json
import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from asking import API, JSON, MISSING, ask, check_refusal, create, everything, message, send, someone

from support.backends import Backend
from support.in_process import SERVICE_KEY, VARIABLES
from support.routes import PUBLIC_ROUTES, USER_ROUTES
from threadkeep.http.messages import BODY_BYTES_MAX
from threadkeep.http.routes import ROUTES
from threadkeep.ids import new_id

pytestmark = [pytest.mark.anyio, pytest.mark.front_door]

SECRET = VARIABLES["AUTH_JWT_SECRET"]
ALLOWED = "https://app.example"
HOUR = 3_600


def encoded(part: Any) -> str:
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(header: Any, claims: Any, secret: str = SECRET, digest: str = "sha256") -> str:
    """A token with any header and any claims."""
    text = f"{encoded(header)}.{encoded(claims)}"
    return f"{text}.{encoded(hmac.digest(secret.encode(), text.encode(), digest))}"


def claims_of(user_id: Any, **claims: Any) -> dict[str, Any]:
    return {"sub": user_id, "exp": int(time.time()) + HOUR, **claims}


def token_of(user_id: str, **claims: Any) -> str:
    """A good token."""
    return signed({"alg": "HS256", "typ": "JWT"}, claims_of(user_id, **claims))


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def serving(user_id: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a service, with any bytes for the user."""
    return [(b"Authorization", f"Bearer {SERVICE_KEY}".encode()), (b"X-User-Id", user_id)]


async def user_of(client: httpx.AsyncClient, headers: Any) -> str | None:
    """The user whom the server takes these headers for, or None where it refuses them."""
    headers = httpx.Headers([*headers, (b"Content-Type", b"application/json")])
    response = await ask(client, "POST", API, content=b"{}", headers=headers)
    if response.is_error:
        assert response.status_code in (400, 401)
        return None
    assert response.status_code == 201
    user_id: str = response.json()["userId"]
    return user_id


# Tokens


async def test_a_good_token_names_its_user(backend: Backend, subtests: pytest.Subtests) -> None:
    user_id, now = f"user-{new_id()}", int(time.time())
    for name, authorization in {
        "as usual": f"Bearer {token_of(user_id)}",
        "in lower case": f"bearer {token_of(user_id)}",
        "in upper case": f"BEARER {token_of(user_id)}",
        "with more spaces": f"Bearer   {token_of(user_id)}",
        "just expired": f"Bearer {token_of(user_id, exp=now - 10)}",
        "valid in a moment": f"Bearer {token_of(user_id, nbf=now + 10, iat=now + 10)}",
        "for ever": f"Bearer {token_of(user_id, exp=2**53)}",
        "with other claims": f"Bearer {token_of(user_id, iss='https://issuer', name='ü', roles=['admin'])}",
    }.items():
        with subtests.test(name):
            headers = {"Authorization": authorization}
            response = await send(backend.client, "POST", API, {}, **headers)
            assert (response.status_code, response.json()["userId"]) == (201, user_id)


def _bad_tokens() -> dict[str, str]:
    header, now = {"alg": "HS256", "typ": "JWT"}, int(time.time())
    good = claims_of("alice")
    unsigned = f"{encoded({'alg': 'none'})}.{encoded(good)}."
    head, body, signature = token_of("alice").split(".")
    return {
        "expired": token_of("alice", exp=now - 60),
        "expired long ago": token_of("alice", exp=0),
        "not yet valid": token_of("alice", nbf=now + 60),
        "of the future": token_of("alice", iat=now + 60),
        "unsigned": unsigned,
        "unsigned, by a name in upper case": f"{encoded({'alg': 'NONE'})}.{encoded(good)}.",
        "signed, and named unsigned": signed({"alg": "none"}, good),
        "named signed, and not": f"{head}.{body}.",
        "without a signature": f"{head}.{body}",
        "with a signature cut short": f"{head}.{body}.{signature[:-4]}",
        "with the claims of another": f"{head}.{encoded(claims_of('bob'))}.{signature}",
        "signed by another key": signed(header, good, secret=SECRET + "x"),
        "signed by no key": signed(header, good, secret=""),
        "signed by HS512": signed({**header, "alg": "HS512"}, good, digest="sha512"),
        "signed by HS384": signed({**header, "alg": "HS384"}, good, digest="sha384"),
        "signed by HS512, and named otherwise": signed(header, good, digest="sha512"),
        "named RS256": signed({**header, "alg": "RS256"}, good),
        "with an array of algorithms": signed({"alg": ["HS256"]}, good),
        "without an algorithm": signed({"typ": "JWT"}, good),
        "without exp": signed(header, {"sub": "alice"}),
        "without sub": signed(header, {"exp": now + HOUR}),
        "without claims": signed(header, {}),
        "with null for exp": signed(header, claims_of("alice", exp=None)),
        "with an array for exp": signed(header, claims_of("alice", exp=[])),
        "with words for exp": signed(header, claims_of("alice", exp="tomorrow")),
        "with infinity for exp": signed(header, b'{"sub":"alice","exp":Infinity}'),
        "with 1e400 for exp": signed(header, b'{"sub":"alice","exp":1e400}'),
        "with NaN for exp": signed(header, b'{"sub":"alice","exp":NaN}'),
        "with 5,000 digits for exp": signed(header, b'{"sub":"alice","exp":%b}' % (b"9" * 5_000)),
        "with an array for nbf": signed(header, claims_of("alice", nbf=[])),
        **{
            f"with {json.dumps(time)} for {name}": signed(header, claims_of("alice", **{name: time}))
            for name in ("exp", "nbf", "iat")
            for time in (str(now), "1_000", f" {now} ", "\u0661", True, False, [], {}, None)
        },
        **{f"with {json.dumps(aud)} for aud": token_of("alice", aud=aud) for aud in ("", [], None, "a", ["a"], {}, 0)},
        "with an object for iat": signed(header, claims_of("alice", iat={})),
        "with a number for sub": signed(header, claims_of(5)),
        "with null for sub": signed(header, claims_of(None)),
        "with an array for sub": signed(header, claims_of(["alice"])),
        "with half a character for sub": signed(header, b'{"sub":"\\ud800","exp":9999999999}'),
        "with what is not UTF-8 for sub": signed(header, b'{"sub":"\xff","exp":9999999999}'),
        "with an array for claims": signed(header, []),
        "with a string for claims": signed(header, "alice"),
        "with claims that are no JSON": signed(header, b"alice"),
        "with an array for a header": signed([], good),
        "with null for a header": signed(None, good),
        "with an unknown critical extension": signed({**header, "crit": ["x"]}, good),
        "with a number for a key id": signed({**header, "kid": 5}, good),
        "garbage": "garbage",
        "dots": "..",
        "letters": "a.b.c",
        "five parts": "a.b.c.d.e",
        "no base64": "*.*.*",
        "percent signs": "%00.%ff.%0a",
        "very long": "x" * 10_000,
        "the secret": SECRET.replace(",", ""),
    }


async def test_a_bad_token_is_refused(backend: Backend, subtests: pytest.Subtests) -> None:
    for name, token in _bad_tokens().items():
        with subtests.test(name):
            response = await ask(backend.client, "GET", API, headers=bearing(token))
            check_refusal(response, "unauthenticated")
            assert response.headers["www-authenticate"] == "Bearer"
            assert SECRET not in response.text


async def test_a_token_that_is_nested_deep_is_refused_and_the_server_lives_on(
    backend: Backend, subtests: pytest.Subtests
) -> None:
    header, good = encoded({"alg": "HS256"}), encoded(claims_of("alice"))
    for depth in (101, 3_000, 10_000, 40_000):
        for opening in ("[", '{"a":'):
            text = opening * depth
            deep = encoded(text[:40_000].encode())
            # Python's json reads UTF-16 as well. Byte by byte, most of this looks as if it were in a string.
            hidden = encoded(f'["\u2200",{text[:20_000]}"]'.encode("utf-16-le"))
            for name, token in {
                "header": f"{deep}.{good}.x",
                "header in UTF-16": f"{hidden}.{good}.x",
                "claims": f"{header}.{deep}.x",
                "claims in UTF-16": f"{header}.{hidden}.x",
                "both of two parts": f"{deep}.x",
                "middle of four parts": f"x.{deep}.x.x",
            }.items():
                with subtests.test(f"{depth} {opening} in the {name}"):
                    response = await ask(backend.client, "GET", API, headers=bearing(token))
                    check_refusal(response, "unauthenticated")
    assert (await ask(someone(backend), "GET", API)).status_code == 200


async def test_other_credentials_are_refused(backend: Backend, subtests: pytest.Subtests) -> None:
    for authorization in (
        *("Basic YWxpY2U6cGFzc3dvcmQ=", "Bearer", "Token x", "Digest username=x", SERVICE_KEY, "", "Bearer\tx"),
        *(f"Basic {SERVICE_KEY}", f"Bearer: {SERVICE_KEY}", f"Bearer{SERVICE_KEY}", f"{SERVICE_KEY} Bearer"),
    ):
        with subtests.test(authorization):
            headers = {"Authorization": authorization, "X-User-Id": "alice"}
            response = await ask(backend.client, "GET", API, headers=headers)
            check_refusal(response, "unauthenticated", says=("Bearer",))
            assert response.headers["www-authenticate"] == "Bearer"


async def test_a_token_says_alone_who_asks(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    headers = {**bearing(token_of(user_id)), "X-User-Id": "somebody else"}
    assert (await send(backend.client, "POST", API, {}, **headers)).json()["userId"] == user_id


# Service keys


async def test_a_service_key_that_is_not_known_is_refused(backend: Backend, subtests: pytest.Subtests) -> None:
    for key in (
        *("tk_", "tk_nope", SERVICE_KEY[:-1], SERVICE_KEY + "x", SERVICE_KEY.upper(), "tk_" + SERVICE_KEY),
        *("tk_" + VARIABLES["AUTH_SERVICE_KEYS"], VARIABLES["AUTH_SERVICE_KEYS"], "tk_ü", "tk_" + "x" * 10_000),
    ):
        with subtests.test(key[:40]):
            headers = {"Authorization": f"Bearer {key}".encode(), "X-User-Id": b"alice"}
            response = await ask(backend.client, "GET", API, headers=headers)
            check_refusal(response, "unauthenticated")
            assert response.headers["www-authenticate"] == "Bearer"


async def test_a_header_that_says_who_asks_or_what_for_is_refused_where_it_comes_twice(
    backend: Backend, subtests: pytest.Subtests
) -> None:
    client, good = someone(backend), bearing(token_of(f"user-{new_id()}"))["Authorization"]
    conversation = f"{API}/{(await create(client))['id']}"
    bookmark = f"{'0' * 8}-{'0' * 8}-{'0' * 8}-{'0' * 32}"
    one_service, alice = ("Authorization", f"Bearer {SERVICE_KEY}"), ("X-User-Id", "alice")
    by_token, version = ("Authorization", good), ("If-Match", '"1"')
    for name, method, path, headers in (
        ("x-user-id", "GET", API, [one_service, alice, ("X-User-Id", "mallory")]),
        ("x-user-id", "GET", API, [one_service, alice, alice]),
        ("x-user-id", "GET", API, [one_service, alice, ("x-user-id", "")]),
        ("x-user-id", "GET", API, [one_service, ("X-User-Id", "alice,mallory")]),
        ("x-user-id", "GET", API, [by_token, alice, alice]),
        ("authorization", "GET", API, [one_service, one_service, alice]),
        ("authorization", "GET", API, [by_token, by_token]),
        ("authorization", "GET", API, [by_token, one_service, alice]),
        ("authorization", "GET", API, [by_token, ("Authorization", "Basic YWxpY2U6cGFzc3dvcmQ=")]),
        ("x-d1-bookmark", "GET", API, [by_token, ("X-D1-Bookmark", bookmark), ("X-D1-Bookmark", bookmark)]),
        ("if-match", "DELETE", conversation, [*client.headers.multi_items(), version, version]),
        ("if-match", "DELETE", conversation, [*client.headers.multi_items(), version, ("If-Match", "*")]),
        ("idempotency-key", "POST", "/api/import", [by_token, ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]),
    ):
        with subtests.test(f"{name} {[value[:20] for key, value in headers]}"):
            sent = [*headers, ("Content-Type", "application/json")]
            response = await ask(backend.client, method, path, content=b"{}", headers=sent)
            check_refusal(response, "invalid", at=name)
            assert response.status_code == 400
    assert (await ask(client, "GET", conversation)).json()["version"] == 1


async def test_a_service_is_told_how_a_user_comes_whose_id_has_a_comma(backend: Backend) -> None:
    response = await ask(backend.client, "GET", API, headers=httpx.Headers(serving(b"cn=alice,ou=people")))
    check_refusal(response, at="x-user-id", says=("comma", "JWT", "`sub`"))
    created = await send(backend.client, "POST", API, {}, **bearing(token_of("cn=alice,ou=people")))
    assert (created.status_code, created.json()["userId"]) == (201, "cn=alice,ou=people")


async def test_a_service_key_without_a_user_is_refused(backend: Backend) -> None:
    response = await ask(backend.client, "GET", API, headers=bearing(SERVICE_KEY))
    check_refusal(response, "unauthenticated", says=("X-User-Id",))


async def test_a_service_that_acts_for_what_is_no_user_id_is_refused(
    backend: Backend, subtests: pytest.Subtests
) -> None:
    for user_id in (
        *("", "a" * 256, "a" * 300, "ü" * 256, "a\tb", "a\x7fb", "a\x85b", "\u00a0a", "a\u2003", "\u3000"),
    ):
        with subtests.test(f"{user_id[:40]!a}"):
            response = await ask(backend.client, "GET", API, headers=httpx.Headers(serving(user_id.encode())))
            check_refusal(response, "invalid", at="x-user-id")


# User ids

USER_IDS = [
    *("a", "A", "a b", "a" * 255, "ü" * 255, "😀" * 255, "null", "__proto__", "*", "%", "_", ".", "..", "a\\b"),
    *("../a", "a/b", "a/b?c=d#e", "a%2Fb", "%61", "a,b", "a;b", "a@b.example", "<b>a</b>", "$.a"),
    *("'; DROP TABLE conversations; --", "a' OR '1'='1", '"a"', '{"user":"a"}', '["a"]'),
    *("ü", "u\u0308", "名前", "😀", "a\u200bb", "\ufeffa", "a\u2028b", "\ufffe", "ß", "ss"),
]


@pytest.mark.reaches_a_store
async def test_a_user_is_the_same_by_token_and_by_service_key_and_nobody_else(
    backend: Backend, subtests: pytest.Subtests
) -> None:
    made = {}
    for user_id in USER_IDS:
        with subtests.test(f"by token {user_id[:40]!a}"):
            response = await send(backend.client, "POST", API, {}, **bearing(token_of(user_id)))
            assert (response.status_code, response.json()["userId"]) == (201, user_id)
            made[user_id] = response.json()
    for user_id in (user_id for user_id in USER_IDS if "," not in user_id):  # those come by a token alone
        with subtests.test(f"by service key {user_id[:40]!a}"):
            headers = httpx.Headers(serving(user_id.encode()))
            listed = (await ask(backend.client, "GET", API, headers=headers)).json()["conversations"]
            assert {row["userId"] for row in listed} == {user_id}
            assert [row for row in listed if row in made.values()] == [made[user_id]]


async def test_whatever_their_id_is_a_user_erases_by_it_what_is_theirs_and_nothing_else(
    backend: Backend, subtests: pytest.Subtests
) -> None:
    user_ids = [
        *("a", "A", "a b", "a+b", "a/b", "a%2Fb", "a&confirm=b", "a=b", "a;b", "a#b", "a@b.example", "../a", "+", "%"),
        *("17", "0", "-1", "1e1", "true", "null", '"a"', "a' OR '1'='1", "ü" * 255, "ü", "u\u0308", "😀", "\ufeffa"),
    ]
    headers = {user_id: httpx.Headers(serving(user_id.encode())) for user_id in user_ids}

    async def held_by(user_id: str) -> list[str]:
        page = (await ask(backend.client, "GET", API, headers=headers[user_id])).json()
        return [row["id"] for row in page["conversations"]]

    async def make(user_id: str) -> str:
        made = await send(backend.client, "POST", API, {}, **bearing(token_of(user_id)))
        assert (made.status_code, made.json()["userId"]) == (201, user_id)
        return str(made.json()["id"])

    made = {user_id: await make(user_id) for user_id in user_ids}
    for user_id in user_ids:
        with subtests.test(ascii(user_id)[:40]):
            before = await held_by(user_id)
            assert made[user_id] in before
            address = f"/api/me?confirm={quote(user_id, safe='')}"
            erased = await ask(backend.client, "DELETE", address, headers=headers[user_id])
            assert (erased.status_code, erased.json()["userId"]) == (200, user_id)
            assert erased.json()["conversations"] >= len(before)
            assert await held_by(user_id) == []
            made[user_id] = await make(user_id)
    for user_id in user_ids:
        with subtests.test(f"what others erased afterwards, {ascii(user_id)[:40]}"):
            assert await held_by(user_id) == [made[user_id]]


async def test_a_user_who_is_named_by_a_token_confirms_by_its_subject_and_not_by_a_header(backend: Backend) -> None:
    user_id, other = f"user-{new_id()}", f"user-{new_id()}"
    headers = {**bearing(token_of(user_id)), "X-User-Id": other}
    created = await send(backend.client, "POST", API, {}, **headers)
    assert created.json()["userId"] == user_id
    check_refusal(await ask(backend.client, "DELETE", f"/api/me?confirm={other}", headers=headers), at="confirm")
    erased = await ask(backend.client, "DELETE", f"/api/me?confirm={user_id}", headers=headers)
    assert (erased.status_code, erased.json()["conversations"]) == (200, 1)


async def test_nobody_in_particular_erases_nothing(backend: Backend) -> None:
    user_id = f"user-{new_id()}"
    client = backend.client_of(user_id)
    await create(client)
    for headers in ({}, {"X-User-Id": user_id}, bearing(token_of(user_id, exp=0)), bearing(SERVICE_KEY)):
        response = await ask(backend.client, "DELETE", f"/api/me?confirm={user_id}", headers=headers)
        check_refusal(response, "unauthenticated")
    assert len(await everything(client)) == 1


async def test_a_user_id_that_is_not_sent_as_utf_8_names_that_user_or_nobody(backend: Backend) -> None:
    # As many HTTP clients send it. Taken for a replacement character, the two would be one user.
    for user_id in ("j\u00fcrgen", "j\u00f6rgen", "\u00fc", "\u00e9t\u00e9"):
        assert await user_of(backend.client, serving(user_id.encode("latin-1"))) in (user_id, None)


async def test_a_token_for_what_is_no_user_id_is_refused(backend: Backend, subtests: pytest.Subtests) -> None:
    for user_id in (
        *(
            "",
            "a" * 256,
            "a" * 300,
            "\u00fc" * 256,
            " a",
            "a ",
            "\ta",
            "a\n",
            "\u00a0a",
            "a\u2003",
            "\u2028a",
            "\u3000",
            " ",
        ),
        *(f"a{chr(code)}b" for code in (0x00, 0x01, 0x09, 0x0A, 0x0D, 0x1B, 0x1F, 0x7F, 0x80, 0x85, 0x9F)),
    ):
        with subtests.test(ascii(user_id)[:40]):
            response = await ask(backend.client, "GET", API, headers=bearing(token_of(user_id)))
            check_refusal(response, "unauthenticated")


# Nobody


async def test_without_credentials_every_route_of_a_user_is_refused(
    backend: Backend, subtests: pytest.Subtests
) -> None:
    for route in USER_ROUTES:
        with subtests.test(f"{route.method} {route.path}"):
            path = route.path.replace("{id}", MISSING).replace("{mid}", MISSING)
            for headers in (JSON, {**JSON, "X-User-Id": "alice"}):
                response = await ask(backend.client, route.method, path, content=b"{}", headers=headers)
                check_refusal(response, "unauthenticated", says=("Authorization",))
                assert response.headers["www-authenticate"] == "Bearer"


async def test_without_credentials_every_public_route_answers(backend: Backend) -> None:
    for route in PUBLIC_ROUTES:
        assert (await ask(backend.client, route.method, route.path)).status_code == 200


@pytest.mark.reaches_a_store
async def test_health_names_the_back_end(backend: Backend) -> None:
    health = (await ask(backend.client, "GET", "/api/health")).json()
    assert (health["status"], health["store"]) == ("ok", backend.name)
    assert {*health} == {"status", "store", "version"}


@pytest.mark.reaches_a_store
async def test_the_status_says_where_conversations_of_whoever_asks_are_kept(backend: Backend) -> None:
    nobody = (await ask(backend.client, "GET", f"{API}/status")).json()
    assert (nobody["enabled"], nobody["store"], nobody["persistent"]) == (False, "local", False)
    for headers in (bearing(token_of("alice")), httpx.Headers(serving(b"alice"))):
        status = (await ask(backend.client, "GET", f"{API}/status", headers=headers)).json()
        fields = {"enabled", "requestedStore", "store", "persistent", "reason", "server", "capabilities"}
        assert {*status} == {*nobody} == fields
        assert (status["enabled"], status["store"]) == (True, backend.name)
        assert status["persistent"] == (backend.name != "memory")
        assert status["server"] == nobody["server"] == {"enabled": True, "persistent": status["persistent"]}


async def test_the_status_takes_bad_credentials_for_none(backend: Backend) -> None:
    for headers in (
        *(bearing(token) for token in ("x", "tk_nope", SERVICE_KEY, token_of("alice", exp=0))),
        httpx.Headers(serving(b"a" * 256)),
    ):
        response = await ask(backend.client, "GET", f"{API}/status", headers=headers)
        status = response.json()
        assert (response.status_code, status["enabled"], status["store"]) == (200, False, "local")


# Browsers of other origins

FOREIGN = [
    *("https://evil.example", "http://app.example", "https://app.example:443", "https://app.example:8443", "null", "*"),
    *("https://app.example.evil.example", "https://evil-app.example", "https://app.example/", "https://APP.example"),
    *("https://app.example, https://evil.example", "http://localhost", "http://localhost:3001", "app.example", ""),
]


def shared_with(response: httpx.Response) -> str | None:
    """The origin that a browser would show the answer to."""
    assert "access-control-allow-credentials" not in response.headers
    assert response.headers["vary"] == "Origin"
    origin: str | None = response.headers.get("access-control-allow-origin")
    return origin


async def test_a_preflight_from_an_allowed_origin_says_what_may_be_sent(backend: Backend) -> None:
    for path in {route.path for route in ROUTES}:
        headers = {
            "Origin": ALLOWED,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization,content-type,if-match",
        }
        response = await ask(
            backend.client, "OPTIONS", path.replace("{id}", MISSING).replace("{mid}", MISSING), headers=headers
        )
        assert (response.status_code, response.content) == (204, b"")
        assert shared_with(response) == ALLOWED
        methods = {route.method for route in ROUTES if route.path == path}
        assert methods <= {*response.headers["access-control-allow-methods"].split(", ")}
        names = response.headers["access-control-allow-headers"].lower().split(", ")
        assert {*names} == {
            *("authorization", "content-digest", "content-type", "idempotency-key", "if-match", "last-event-id"),
            *("x-d1-bookmark", "x-meta", "x-request-id", "x-stainless-retry-count", "x-user-id"),
        }
        assert int(response.headers["access-control-max-age"]) > 0


async def test_a_preflight_from_a_foreign_origin_allows_nothing(backend: Backend, subtests: pytest.Subtests) -> None:
    for origin in FOREIGN:
        with subtests.test(origin):
            headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
            response = await ask(backend.client, "OPTIONS", API, headers=headers)
            assert response.status_code == 204
            assert shared_with(response) is None
            assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_an_answer_is_shown_to_an_allowed_origin_and_to_no_other(
    backend: Backend, subtests: pytest.Subtests
) -> None:
    client = someone(backend)
    for origin in (ALLOWED, "http://localhost:3000"):
        response = await ask(client, "GET", API, headers={"Origin": origin})
        assert (response.status_code, shared_with(response)) == (200, origin)
    exposed = {*response.headers["access-control-expose-headers"].lower().split(", ")}
    assert exposed == {
        *("content-digest", "content-disposition", "etag", "location", "retry-after"),
        *("x-created-at", "x-d1-bookmark", "x-expires-at", "x-meta", "x-request-id"),
    }
    for origin in FOREIGN:
        with subtests.test(origin):
            response = await ask(client, "GET", API, headers={"Origin": origin})
            assert (response.status_code, shared_with(response)) == (200, None)
    assert shared_with(await ask(client, "GET", API)) is None


async def test_an_error_is_shown_to_an_allowed_origin_as_well(backend: Backend, subtests: pytest.Subtests) -> None:
    client = someone(backend)
    created = await create(client, messages=[known := message()])
    url = f"{API}/{created['id']}"
    for status, method, path, body, extra in (
        (400, "POST", API, b"{", {}),
        (400, "GET", f"{API}/a%20b", b"", {}),
        (400, "GET", f"{API}/%ff", b"", {}),
        (401, "GET", API, b"", {"Authorization": "Bearer x"}),
        (404, "GET", "/nowhere", b"", {}),
        (404, "GET", f"{API}/{MISSING}", b"", {}),
        (405, "POST", url, b"", {}),
        (409, "POST", f"{url}/messages", {**known, "role": "system"}, {}),
        (412, "PATCH", url, {"title": "New"}, {"If-Match": '"7"'}),
        (413, "POST", API, b"x" * (BODY_BYTES_MAX + 1), {}),
        (415, "POST", API, b"{}", {"Content-Type": "text/plain"}),
    ):
        with subtests.test(f"{status} {method} {path[:40]}"):
            for origin, shown in ((ALLOWED, ALLOWED), ("https://evil.example", None)):
                headers = {**extra, "Origin": origin}
                response = await send(client, method, path, body, **headers)
                assert (response.status_code, shared_with(response)) == (status, shown)


async def test_a_preflight_of_an_address_where_nothing_is_is_not_found(backend: Backend) -> None:
    response = await ask(backend.client, "OPTIONS", "/nowhere", headers={"Origin": ALLOWED})
    assert (response.status_code, shared_with(response)) == (404, ALLOWED)


# The name of a request


async def test_a_request_keeps_its_name_if_it_has_a_good_one(backend: Backend, subtests: pytest.Subtests) -> None:
    client = someone(backend)
    for name in (b"a", b"0", b"A.b_c-9", b"x" * 128, new_id().encode()):
        with subtests.test(name):
            response = await ask(client, "GET", API, headers={b"X-Request-Id": name})
            assert response.headers["x-request-id"] == name.decode()
    for name in (b"", b"x" * 129, b"a b", b"a/b", "ü".encode(), b"\xfc", b"<b>", b"a,b", b"a;b", b"a\tb", b"x" * 5_000):
        with subtests.test(name):
            response = await ask(client, "GET", API, headers={b"X-Request-Id": name})
            assert (response.status_code, len(response.headers["x-request-id"])) == (200, 32)
    names = {(await ask(client, "GET", API)).headers["x-request-id"] for _ in range(5)}
    assert len(names) == 5


async def test_whatever_is_answered_bears_the_name_of_the_request(backend: Backend, subtests: pytest.Subtests) -> None:
    for method, path, status in (
        ("GET", "/api/health", 200),
        ("GET", f"{API}/{MISSING}", 404),
        ("GET", f"{API}/a%20b", 400),
        ("PUT", API, 405),
        ("OPTIONS", API, 204),
        ("HEAD", API, 200),
    ):
        with subtests.test(f"{method} {path}"):
            response = await ask(someone(backend), method, path, headers={"X-Request-Id": "name"})
            assert (response.status_code, response.headers["x-request-id"]) == (status, "name")


# HEAD


async def test_head_answers_as_get_does_without_a_body(backend: Backend, subtests: pytest.Subtests) -> None:
    client = someone(backend)
    created = await create(client, messages=[sent := message()])
    names = {
        "id": created["id"],
        "mid": sent["id"],
        "space": "s",
        "key": "k",
        "queue": "q",
        "task": "t",
        "thread": "t",
        "item": "i",
    }
    await send(client, "PUT", "/api/journals/s/k", {})
    await send(client, "POST", "/api/queues/q/tasks", {"id": "t", "lane": "l", "payload": 1})
    await ask(client, "PUT", "/api/blobs/s/k", content=b"bytes")
    await send(client, "POST", f"{API}/{created['id']}/drafts", {"id": created["id"]})
    said = {"items": [{"id": "i", "role": "user", "content": "hello"}]}
    names["conversation"] = (await send(client, "POST", "/api/openai/v1/conversations", said)).json()["id"]
    queries = {"search": "?q=hello", "deltas": "?channels=[]", "context": "?dialect=anthropic"}
    for route in ROUTES:
        if route.method == "GET" and route.path != "/api/drafts/{id}/events":  # which has no end while it is written
            with subtests.test(route.path):
                path = route.path.format(**names) + queries.get(route.path.rpartition("/")[2], "")
                got, head = await ask(client, "GET", path), await ask(client, "HEAD", path)
                assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
                for name in ("content-type", "etag", "cache-control"):
                    assert head.headers.get(name) == got.headers.get(name)
    for path, status in ((f"{API}/{MISSING}", 404), ("/nowhere", 404), (f"{API}/a%20b", 400)):
        response = await ask(client, "HEAD", path)
        assert (response.status_code, response.content) == (status, b"")
    assert (await ask(backend.client, "HEAD", API)).status_code == 401
    assert {*await everything(client)} == {created["id"]}
