"""The API between the platform and the store: who is let through, what every response has, and what goes wrong."""

import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from support import stores
from support.in_process import SERVICE_KEY, VARIABLES, as_user, no_stream
from support.records import conversation, new_message
from threadkeep import __version__, validation
from threadkeep.conversations import retention
from threadkeep.conversations.models import Erased
from threadkeep.conversations.store import Store
from threadkeep.errors import Unavailable
from threadkeep.http.api import Api, connect
from threadkeep.http.messages import Request, Response
from threadkeep.http.problems import body_too_large
from threadkeep.http.router import Router
from threadkeep.storage.backends import Choice

pytestmark = pytest.mark.anyio

ORIGIN = "https://app.example"
ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
MEMORY = {**VARIABLES, "AGENT_CONVERSATION_STORE": "memory"}
OFF = {"AGENT_CONVERSATION_PERSISTENCE": ""}
WRONG = {"AGENT_CONVERSATION_STORE": "d2"}


def api(variables: dict[str, str] | None = None, bindings: tuple[str, ...] = ()) -> Api:
    variables = MEMORY if variables is None else variables
    return connect(variables.get, bindings.__contains__, "worker")


def request(method: str, path: str, body: bytes = b"", **headers: str) -> Request:
    async def read() -> bytes:
        return body

    path, _, query = path.partition("?")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, path, query, named.get, read, no_stream)


def of_ada(method: str, path: str, body: bytes = b"", **headers: str) -> Request:
    named = {name.lower().replace("-", "_"): value for name, value in as_user("ada").items()}
    return request(method, path, body, **named, **headers)


def opens(store: Any) -> Callable[[str, str | None], Awaitable[Store]]:
    async def open_store(user_id: str, bookmark: str | None) -> Any:
        if isinstance(store, Exception):
            raise store
        return store

    return open_store


def memory() -> Store:
    return stores.open_memory(stores.new_memory(), "ada")


def answered(admitted: str | Response) -> Response:
    assert isinstance(admitted, Response)
    return admitted


def error_in(response: Response) -> dict[str, Any]:
    body = json.loads(response.body)
    assert list(body) == ["error"]
    return dict(body["error"])


# Who is let through


async def test_a_user_is_let_through_to_any_of_their_routes() -> None:
    for method, path in (
        ("GET", ""),
        ("POST", ""),
        ("HEAD", f"/{ID}"),
        ("PATCH", f"/{ID}"),
        ("POST", f"/{ID}/messages"),
    ):
        assert await api().admit(of_ada(method, f"/api/conversations{path}")) == "ada"


async def test_nobody_is_let_through_without_credentials() -> None:
    response = answered(await api().admit(request("GET", "/api/conversations")))
    assert (response.status, error_in(response)["code"]) == (401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_what_is_not_there_is_not_found_before_anybody_asks_who_asks() -> None:
    for made in (api(), api(WRONG)):
        assert answered(await made.admit(request("GET", "/api/nothing"))).status == 404
        response = answered(await made.admit(request("PUT", "/api/conversations")))
        assert (response.status, response.headers["allow"]) == (405, "DELETE, GET, HEAD, OPTIONS, POST")


async def test_a_server_that_keeps_nothing_says_why() -> None:
    response = answered(await api({}).admit(of_ada("GET", "/api/conversations")))
    assert (response.status, error_in(response)["code"]) == (501, "unsupported")
    assert "AGENT_CONVERSATION_PERSISTENCE is not true" in error_in(response)["message"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"AGENT_CONVERSATION_PERSISTENCE": "true"}, "in production nothing is kept in memory"),
        ({"AGENT_CONVERSATION_STORE": "d2"}, "AGENT_CONVERSATION_STORE is 'd2'"),
        ({"AUTH_JWT_SECRET": "short"}, "AUTH_JWT_SECRET is wrong"),
    ],
)
async def test_a_server_that_is_set_up_wrong_says_so_to_whoever_asks(variables: dict[str, str], message: str) -> None:
    made = api(variables)
    assert isinstance(made.choice, Unavailable)
    for path in ("/api/conversations", "/api/health"):
        response = answered(await made.admit(of_ada("GET", path)))
        assert (response.status, error_in(response)["code"]) == (503, "unavailable")
        assert message in error_in(response)["message"]
        assert response.headers["retry-after"] == "1"


async def test_the_bindings_that_count_are_those_that_the_settings_name() -> None:
    on = {"AGENT_CONVERSATION_PERSISTENCE": "true", "AGENT_CONVERSATIONS_DO_BINDING": "OBJECTS"}
    for binding, store in (("CONVERSATIONS_D1", "d1"), ("CHM_CLOUD_D1", "d1"), ("OBJECTS", "durable-object")):
        made = connect(on.get, [binding].__contains__, "worker")
        assert isinstance(made.choice, Choice)
        assert made.choice.store == store
        assert made.settings.durable_object_binding == "OBJECTS"
    assert isinstance(connect(on.get, ["AGENT_CONVERSATIONS_DO"].__contains__, "worker").choice, Unavailable)


async def test_whoever_asks_is_told_to_the_server_before_their_body_is_read() -> None:
    seen: list[str] = []

    async def read() -> bytes:
        seen.append("the body")
        return b"{}"

    async def open_store(user_id: str, bookmark: str | None) -> Any:
        seen.append(f"the store of {user_id}")
        return memory()

    headers = {name.lower(): value for name, value in as_user("ada").items()} | {"content-type": "application/json"}
    incoming = Request("POST", "/api/conversations", "", headers.get, read, no_stream)
    assert (await api().handle(incoming, open_store, begin=seen.append)).status == 201
    assert seen == ["ada", "the body", "the store of ada"]


async def test_a_server_that_has_enough_to_do_refuses_whoever_was_admitted_and_reads_nothing() -> None:
    def begin(user_id: str) -> None:
        raise Unavailable(f"Come back later, {user_id}.")

    never = opens(AssertionError("it was opened"))
    response = await api().handle(of_ada("GET", "/api/conversations"), never, begin=begin)
    assert (response.status, error_in(response)["message"]) == (503, "Come back later, ada.")
    for nobody in (request("GET", "/api/conversations"), request("GET", "/api/health"), request("GET", "/api/nothing")):
        assert (await api().handle(nobody, never, begin=begin)).status in (401, 200, 404)


@pytest.fixture
def matched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are matched with the routes from now on."""
    paths: list[str] = []
    match = Router.match

    def matching(router: Router[Any], path: str) -> Any:
        paths.append(path)
        return match(router, path)

    monkeypatch.setattr(Router, "match", matching)
    return paths


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/api/conversations", "/api/conversations"),
        ("HEAD", f"/api/conversations/{ID}", "/api/conversations/{id}"),
        ("PUT", f"/api/conversations/{ID}/messages", "/api/conversations/{id}/messages"),
        ("OPTIONS", f"/api/conversations/{ID}", "/api/conversations/{id}"),
        ("GET", "/api/health", "/api/health"),
        ("GET", "/api/nothing", None),
        ("GET", "/api/conversations/%ff", None),
    ],
)
async def test_a_request_is_matched_once_and_says_with_what(
    method: str, path: str, route: str | None, matched: list[str]
) -> None:
    incoming = of_ada(method, path)
    await api().handle(incoming, opens(memory()))
    assert (matched, incoming.route) == ([path], route)


async def test_a_request_that_is_handed_on_is_matched_once_at_each_place(matched: list[str]) -> None:
    path = f"/api/conversations/{ID}"
    assert await api().admit(of_ada("GET", path)) == "ada"
    assert matched == [path]
    await api().handle(request("GET", path), opens(memory()), user_id="ada")
    assert matched == [path, path]


# What anybody may know


@pytest.mark.parametrize(
    ("variables", "headers", "expected"),
    [
        pytest.param(MEMORY, as_user("ada"), [True, "memory", "memory", False, True], id="kept for who asks"),
        pytest.param(MEMORY, {}, [False, "memory", "local", False, True], id="kept by a client that nobody knows"),
        pytest.param(MEMORY, as_user(" "), [False, "memory", "local", False, True], id="kept by one who is nobody"),
        pytest.param(VARIABLES | OFF, as_user("ada"), [False, "auto", "local", False, False], id="kept nowhere"),
        pytest.param(WRONG, as_user("ada"), [False, "auto", None, False, False], id="set up wrong"),
    ],
)
async def test_the_status_tells_where_conversations_are_kept(
    variables: dict[str, str], headers: dict[str, str], expected: list[Any]
) -> None:
    named = {name.lower().replace("-", "_"): value for name, value in headers.items()}
    response = answered(await api(variables).admit(request("GET", "/api/conversations/status", **named)))
    body = json.loads(response.body)
    assert response.status == 200
    *told, keeps = expected
    assert [body[name] for name in ("enabled", "requestedStore", "store", "persistent")] == told
    assert body["server"] == {"enabled": keeps, "persistent": False}
    assert body["reason"]


async def test_the_status_of_a_server_is_told_to_anybody() -> None:
    made = api({**VARIABLES}, ("CONVERSATIONS_D1",))
    body = json.loads(answered(await made.admit(request("GET", "/api/conversations/status"))).body)
    assert (body["enabled"], body["store"], body["persistent"]) == (False, "local", False)
    assert body["server"] == {"enabled": True, "persistent": True}


async def test_the_status_of_a_database_is_persistent() -> None:
    made = api({**VARIABLES}, ("CONVERSATIONS_D1",))
    body = json.loads(answered(await made.admit(of_ada("GET", "/api/conversations/status"))).body)
    assert body == {
        "enabled": True,
        "requestedStore": "auto",
        "store": "d1",
        "persistent": True,
        "reason": "It is the first of those that are set up.",
        "server": {"enabled": True, "persistent": True},
        "capabilities": ["search", "changes", "import", "transactions", "agents"],
    }


async def test_the_health_tells_what_runs() -> None:
    response = answered(await api().admit(request("GET", "/api/health")))
    assert json.loads(response.body) == {"status": "ok", "store": "memory", "version": __version__}


async def test_the_documents_are_for_anybody() -> None:
    document = answered(await api().admit(request("GET", "/openapi.json")))
    assert json.loads(document.body)["openapi"] == "3.1.0"
    page = answered(await api({}).admit(request("GET", "/docs")))
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.body.startswith(b"<!doctype html>")


# What every response has


async def test_every_response_has_a_request_id_and_is_not_for_keeping() -> None:
    made = api()
    responses = [
        answered(await made.admit(request("GET", "/api/health"))),
        answered(await made.admit(request("GET", "/api/conversations"))),
        await made.handle(of_ada("GET", "/api/conversations"), opens(memory()), user_id="ada"),
        await made.handle(of_ada("GET", f"/api/conversations/{ID}"), opens(memory()), user_id="ada"),
        made.refuse(of_ada("GET", "/api/conversations"), Unavailable("No.")),
    ]
    assert [response.status for response in responses] == [200, 401, 200, 404, 503]
    for response in responses:
        assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
    assert len({response.headers["x-request-id"] for response in responses}) == len(responses)


@pytest.mark.parametrize("given", ["a", "x" * 128, "2024-01-01.a_B"])
async def test_a_request_id_that_is_given_is_answered(given: str) -> None:
    response = answered(await api().admit(request("GET", "/api/health", x_request_id=given)))
    assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 129, "a b", "a\n", "\u00e9", "<b>", "a,b"])
async def test_a_request_id_that_might_do_harm_is_replaced(given: str) -> None:
    response = answered(await api().admit(request("GET", "/api/health", x_request_id=given)))
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


async def test_a_head_is_answered_like_a_get_but_for_the_body() -> None:
    for path in ("/api/health", "/api/nothing"):
        get = answered(await api().admit(request("GET", path, x_request_id="x")))
        head = answered(await api().admit(request("HEAD", path, x_request_id="x")))
        assert (head.status, head.headers, head.body) == (get.status, get.headers, b"")
        assert get.body


async def test_an_origin_that_is_named_may_read() -> None:
    for made in (api(), api({**MEMORY, "CORS_ORIGINS": ORIGIN})):
        response = answered(await made.admit(request("GET", "/api/health", origin=ORIGIN)))
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert "X-Request-Id" in response.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in response.headers
        assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://app.example.evil", "http://app.example", "https://app.example:8443", "null", "", "*", None]
)
async def test_an_origin_that_is_not_named_may_not(origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    response = answered(await api().admit(request("GET", "/api/health", **headers)))
    assert not [name for name in response.headers if name.startswith("access-control-")]
    assert response.headers["vary"] == "Origin"


async def test_without_origins_there_is_no_word_of_them() -> None:
    response = answered(await api({**MEMORY, "CORS_ORIGINS": ""}).admit(request("GET", "/api/health", origin=ORIGIN)))
    assert not [name for name in response.headers if name.startswith("access-control-") or name == "vary"]


async def test_a_browser_is_told_beforehand_what_it_may_send() -> None:
    response = answered(await api().admit(request("OPTIONS", f"/api/conversations/{ID}", origin=ORIGIN)))
    assert (response.status, response.body) == (204, b"")
    assert response.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    assert response.headers["access-control-allow-methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-max-age"] == "7200"
    allowed = response.headers["access-control-allow-headers"].split(", ")
    assert {"Authorization", "Content-Type", "If-Match", "X-D1-Bookmark", "X-User-Id"} <= set(allowed)


async def test_anybody_else_is_told_what_an_address_takes() -> None:
    response = answered(await api().admit(request("OPTIONS", "/api/conversations", origin="https://other.example")))
    assert (response.status, response.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, POST")
    assert not [name for name in response.headers if name.startswith("access-control-")]
    assert answered(await api().admit(request("OPTIONS", "/api/nothing", origin=ORIGIN))).status == 404


# What goes wrong


async def test_a_defect_of_ours_is_answered_with_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "threadkeep"):
        response = await api().handle(
            of_ada("GET", "/api/conversations", x_request_id="mine"), opens(ValueError("secret")), user_id="ada"
        )
    assert response.status == 500
    assert b"secret" not in response.body
    assert error_in(response) == {
        "code": "internal",
        "message": "Something went wrong on the server. Report it with this request id.",
        "details": {"requestId": "mine"},
    }
    (record,) = caplog.records
    assert "mine" in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


async def test_why_a_request_could_not_be_handed_on_is_in_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    error = Unavailable("Try again.")
    error.__cause__ = ValueError("secret")
    with caplog.at_level(logging.ERROR, "threadkeep"):
        response = api().refuse(of_ada("GET", "/api/conversations", x_request_id="mine"), error)
    assert (response.status, error_in(response)) == (503, {"code": "unavailable", "message": "Try again."})
    (record,) = caplog.records
    assert record.getMessage() == "request mine could not be handed on: secret"


async def test_a_failure_to_open_the_store_is_told_as_it_is() -> None:
    response = await api().handle(
        of_ada("GET", "/api/conversations"), opens(Unavailable("D1 is away. Try again.")), user_id="ada"
    )
    assert (response.status, error_in(response)["message"]) == (503, "D1 is away. Try again.")


async def test_messages_are_read_forward_or_by_a_cursor_and_not_both() -> None:
    path = f"/api/conversations/{ID}/messages?after=0&cursor={ID}"
    response = await api().handle(of_ada("GET", path), opens(memory()), user_id="ada")
    assert (response.status, error_in(response)["details"]) == (400, {"path": "after"})


async def test_a_body_that_is_too_large_is_told_as_it_is() -> None:
    async def read() -> bytes:
        raise body_too_large()

    headers = {"content-type": "application/json"}
    incoming = Request("POST", "/api/conversations", "", headers.get, read, no_stream)
    assert (await api().handle(incoming, opens(memory()), user_id="ada")).status == 413


async def test_the_store_is_opened_only_for_a_request_that_is_right() -> None:
    never = opens(AssertionError("it was opened"))
    wrong = [
        of_ada("GET", "/api/conversations/a%20b"),
        of_ada("GET", "/api/conversations?limit=0"),
        of_ada("GET", "/api/conversations?size=1"),
        of_ada("GET", f"/api/conversations/{ID}?limit=1"),
        of_ada("DELETE", "/api/me"),
        of_ada("DELETE", "/api/me?confirm=ada&confirm=ada"),
        of_ada("GET", "/api/conversations", x_d1_bookmark="x"),
        of_ada("POST", "/api/conversations", b"{}"),
        of_ada("POST", "/api/conversations", b"{}", content_type="text/plain"),
        of_ada("POST", "/api/conversations", b"{", content_type="application/json"),
        of_ada("POST", f"/api/conversations/{ID}/messages", b"[]", content_type="application/json"),
    ]
    responses = [await api().handle(incoming, never, user_id="ada") for incoming in wrong]
    assert [response.status for response in responses] == [400] * 7 + [415, 415, 400, 400]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json;",
        " application/json ",
    ],
)
async def test_json_in_utf_8_is_read(content_type: str) -> None:
    response = await api().handle(
        of_ada("POST", "/api/conversations", b"{}", content_type=content_type), opens(memory()), user_id="ada"
    )
    assert response.status == 201


@pytest.mark.parametrize(
    "content_type",
    ["", "text/json", "application/json; charset=latin-1", "application/x-ndjson", "multipart/form-data"],
)
async def test_a_body_of_another_kind_is_not_read(content_type: str) -> None:
    response = await api().handle(
        of_ada("POST", "/api/conversations", b"{}", content_type=content_type), opens(memory()), user_id="ada"
    )
    assert (response.status, error_in(response)["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {"title": "A", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]}),
        ("PATCH", f"/{ID}", {"title": "B"}),
        ("POST", f"/{ID}/messages", {"role": "user", "content": [{"type": "text", "text": "Hello"}]}),
        ("POST", f"/{ID}/messages", {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]}),
    ],
)
async def test_a_body_is_parsed_once(
    method: str, path: str, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = memory()
    await store.create_conversation(conversation(id=ID))
    text = json.dumps(body).encode()
    parsed: list[Any] = []
    decoded = validation._decoded

    def decoding(given: bytes, into: Any) -> Any:
        value = decoded(given, into)  # what a type refuses at its first field is not parsed
        if given == text:
            parsed.append(into)
        return value

    monkeypatch.setattr(validation, "_decoded", decoding)
    incoming = of_ada(method, f"/api/conversations{path}", text, content_type="application/json")
    assert (await api().handle(incoming, opens(store))).status in (200, 201)
    assert len(parsed) == 1


BOOKMARK = "00000085-0000024c-00004c6d-8e61117bf38d7adb71b934ebbf891683"


async def test_a_bookmark_goes_to_the_store_and_a_new_one_comes_back() -> None:
    store = memory()
    store.bookmark = "new"  # type: ignore[misc]
    asked: list[str | None] = []

    async def open_store(user_id: str, bookmark: str | None) -> Store:
        asked.append(bookmark)
        return store

    for headers in ({}, {"x_d1_bookmark": BOOKMARK}):
        response = await api().handle(of_ada("GET", "/api/conversations", **headers), open_store, user_id="ada")
        assert response.headers["x-d1-bookmark"] == "new"
    assert asked == [None, BOOKMARK]
    response = await api().handle(of_ada("GET", "/api/conversations"), opens(memory()), user_id="ada")
    assert "x-d1-bookmark" not in response.headers


async def test_a_deleted_conversation_is_restored_over_http() -> None:
    store = memory()
    record = conversation(title="Mine")
    await store.create_conversation(record)
    made = api()
    deleted = await made.handle(of_ada("DELETE", f"/api/conversations/{record.id}"), opens(store), user_id="ada")
    assert (deleted.status, deleted.body) == (204, b"")
    restored = await made.handle(of_ada("POST", f"/api/conversations/{record.id}/restore"), opens(store), user_id="ada")
    assert (restored.status, restored.headers["etag"]) == (200, '"3"')


async def test_a_conversation_is_deleted_over_http_only_as_it_was_seen() -> None:
    made, store, record = api(), memory(), conversation()
    await store.create_conversation(record)
    path = f"/api/conversations/{record.id}"
    stale = await made.handle(of_ada("DELETE", path, if_match='"2"'), opens(store), user_id="ada")
    assert (stale.status, error_in(stale)["details"]["conversation"]["version"]) == (412, 1)
    wrong = await made.handle(of_ada("DELETE", path, if_match='"01"'), opens(store), user_id="ada")
    assert (wrong.status, error_in(wrong)["details"]) == (400, {"path": "if-match"})
    assert (await made.handle(of_ada("GET", path), opens(store), user_id="ada")).status == 200
    for if_match in ('W/"1"', '"9"'):  # what is deleted already stays so, whatever is expected
        assert (await made.handle(of_ada("DELETE", path, if_match=if_match), opens(store), user_id="ada")).status == 204


async def test_what_a_user_confirms_is_held_against_who_was_admitted() -> None:
    store, record = memory(), conversation(new_message())
    await store.create_conversation(record)
    for user_id, confirm in (("ada", "bob"), ("bob", "ada"), ("ada", "Ada"), ("ada", "ada%20"), ("ada", "")):
        wrong = await api().handle(of_ada("DELETE", f"/api/me?confirm={confirm}"), opens(store), user_id=user_id)
        assert (wrong.status, error_in(wrong)["details"]) == (400, {"path": "confirm"})
        assert "Nothing was erased" in error_in(wrong)["message"]
    assert (await store.get_conversation(record.id)).message_count == 1
    erased = await api().handle(of_ada("DELETE", "/api/me?confirm=ada"), opens(store), user_id="ada")
    assert erased.status == 200
    assert json.loads(erased.body) == {"conversations": 1, "messages": 1, "userId": "ada", "isComplete": True}


async def test_an_erasure_that_leaves_something_to_remove_is_accepted_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "_PAUSE_SECONDS", 0)

    class Slow:
        bookmark = None

        async def erase(self) -> Erased:
            return Erased(3, 7)

        async def sweep(self) -> bool:
            return True

        async def tidy(self) -> bool:
            return False

    erased = await api().handle(of_ada("DELETE", "/api/me?confirm=ada"), opens(Slow()), user_id="ada")
    assert erased.status == 202
    assert json.loads(erased.body) == {"conversations": 3, "messages": 7, "userId": "ada", "isComplete": False}


async def test_a_service_key_is_in_no_answer() -> None:
    for admitted in (
        await api().admit(of_ada("PUT", "/api/conversations")),
        await api().admit(request("GET", "/api/conversations", authorization=f"Bearer {SERVICE_KEY}x")),
    ):
        response = answered(admitted)
        assert SERVICE_KEY not in response.body.decode() + str(response.headers)
