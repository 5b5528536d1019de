"""Threadkeep and the JavaScript Worker that it is measured against do the same work, with the same answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.fields import TIME, every_field
from threadkeep.conversations.export_v1 import DocumentConversation, DocumentMessage
from threadkeep.conversations.models import NewMessage
from tools.bench.contestants import JAVASCRIPT, THREADKEEP, Contestant, JavaScriptWorker
from tools.bench.http_client import Request, Response, send_request
from tools.bench.operations import OPERATIONS, Operation, find_target
from tools.bench.response_comparison import compare, differs
from tools.bench.rounds import check_counts
from tools.bench.seeds import Shape, long_conversation
from tools.checkout import Problem

SHAPE = Shape(200, others=2)
MESSAGES = f"/api/conversations/{long_conversation()}/messages"
ID = "01KAGQ3WAH5RZ6E1D8K3F0P7QS"
TEXT = [{"type": "text", "text": "Hello"}]


@pytest.fixture(scope="module", params=["d1", "durable-object"])
def contestants(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Contestant]]:
    folder = tmp_path_factory.mktemp("contestants")
    store: str = request.param
    with (
        Contestant(JAVASCRIPT, store, SHAPE, folder) as javascript,
        Contestant(THREADKEEP, store, SHAPE, folder) as ours,
    ):
        yield [javascript, ours]


def answers(contestants: list[Contestant], request: Request) -> list[Response]:
    return [send_request(contestant.worker.url, request) for contestant in contestants]


def append(body: Any) -> Request:
    return Request("POST", MESSAGES, body if isinstance(body, str) else json.dumps(body))


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_they_answer_every_operation_alike(contestants: list[Contestant], operation: Operation) -> None:
    target = find_target(contestants[0].worker.url, SHAPE)
    compare(contestants, operation, target, "of the test")
    check_counts(contestants)


CONTENTS = [
    '[{"type":"text","text":"1"},{"type":"new","n":[1.0,1e2,-0.0,12345678901234567890,0.1,1.5e300]}]',
    '[{"text":"keys in another order","type":"text","extra":{"b":1,"a":null}}]',
    '[{"type":"text","text":"Ünïcödé, ß and Σίσυφος, 日本語の文章, हिन्दी में, עברית, naïve café, 👩‍👩‍👧 ok"}]',
    '[{"type":"text","text":"Łódź, Ørsted: co\u00adoperation, \uff37\uff49\uff44\uff45, 한국어, e\u0301clair"}]',
    '[{"type":"text","text":"one two one two three"}]',
    '[{"type":"tool_use","id":"c","name":"n","input":{"q":"find me","deep":["one",{"type":"text","text":"two"}]}}]',
    '[{"type":"tool_result","toolUseId":"c","content":[{"type":"image","url":"hidden"},"seen"],"isError":false}]',
    '[{"type":"thinking","thinking":"hm","signature":null},{"type":"file","url":"x","source":{}}]',
    '[{"type":"tool_use","id":"c","name":"n","input":"{\\"q\\":\\"first\\\\nlast\\"}"},{"type":"tool_result","tool_use_id":"c"}]',
    '[{"type":"reasoning","text":"mulling"},{"type":"tool-x","input":{"a":"asked"},"output":["told"],"toolCallId":"no"}]',
    '[{"type":"source-url","url":"https://cited.example","title":"Sources"},{"type":"data-x","data":{"a":"datum"}}]',
]


@pytest.mark.parametrize("number", range(len(CONTENTS)))
def test_they_keep_the_same_once(contestants: list[Contestant], number: int) -> None:
    content = CONTENTS[number]
    head = f'"id": "01KAGQ3WAH5RZ6E1D8K3F0PA{number:02}", "role": "user"'
    message = f'{{{head}, "content": {content}, "metadata": {{"a": 1.50}}}}'
    one, other = answers(contestants, append(message))
    assert (one.status, differs(one, other)) == (201, None)
    again = message.replace("1.50", "15e-1").replace("1e2", "100")
    one, other = answers(contestants, append(again))
    assert (one.status, differs(one, other)) == (200, None)
    for role in ("system", "developer"):
        one, other = answers(contestants, append(message.replace('"user"', f'"{role}"')))
        assert (one.status, differs_in_code(one, other)) == (409, None)
    developer = message.replace('"user"', '"developer"').replace("0PA", "0PD")
    one, other = answers(contestants, append(developer))
    assert (one.status, differs(one, other)) == (201, None)
    one, other = answers(contestants, Request("GET", f"{MESSAGES}?limit=1"))
    assert differs(one, other) is None
    assert all(content in answer.body.decode() for answer in (one, other))


FIRST_WORDS = [
    "  Hello\r\n\tworld \u2028 and\u00a0\u3000all \ufeff",
    "\u200b \ufeff",
    "\u202eevil\u202c \u2067good\u2069",
    "x" * 55 + "\U0001f468\u200d\U0001f469\u200d\U0001f467 and more",
    "x" + "\U0001f1e9\U0001f1ea" * 40,
    "e\u0301" * 40,
    "e" + "\u0301" * 100,
    "\u1112\u1161\u11ab" * 30,
    "\U0001f600" * 61,
]


def test_they_give_the_same_titles(contestants: list[Contestant]) -> None:
    documents = []
    for words in FIRST_WORDS:
        message = {"id": "first", "role": "user", "content": [{"type": "text", "text": words}], "createdAt": TIME}
        documents.append(json.dumps({"version": 1, "conversation": {"messages": [message]}}))
    headers = {"content-type": "application/x-ndjson", "idempotency-key": "titles", "x-user-id": "someone titled"}
    sent = Request("POST", "/api/import", "\n".join(documents), headers)
    one, other = (answer.json() for answer in answers(contestants, sent))
    assert len(one["imported"]) == len(FIRST_WORDS)
    assert one == other


def test_they_filter_a_list_alike(contestants: list[Contestant]) -> None:
    user = {"x-user-id": "someone who filters"}
    documents = [
        {
            "version": 1,
            "conversation": {"model": model, "createdAt": TIME, "metadata": metadata, "isArchived": archived},
        }
        for model, archived, metadata in (
            ("m", False, {"n": 1, "a.b": 'say "hi"'}),
            ("m", True, {"n": 12, "on": True}),
            (None, False, {"deep": {"n": 1}, "n": "1", "on": "true"}),
            (None, True, {"n": 1.5, "é": None}),
        )
    ]
    for document in documents:
        body = json.dumps({**document, "conversation": {**document["conversation"], "messages": []}})  # type: ignore[dict-item]
        one, other = answers(contestants, Request("POST", "/api/import", body, headers=user))
        assert (one.status, other.status) == (200, 200)
    counts = {}
    for query in (
        *("archived=any", "archived=true", "archived=any&limit=3", "archived=any&model=m", "model=n", "metadata.n=1"),
        *("archived=any&metadata.n=1", "archived=any&metadata.n=1.5", "archived=any&metadata.on=true"),
        *("metadata.a.b=say+%22hi%22", "archived=any&metadata.%C3%A9=null", "archived=any&createdAfter=1"),
        *("archived=any&createdBefore=1", "createdAfter=5&createdBefore=5", "metadata.a=1&metadata.b=1", "metadata=1"),
    ):
        one, other = answers(contestants, Request("GET", f"/api/conversations?{query}", headers=user))
        assert one.status == other.status, query
        pages = [answer.json().get("conversations", []) for answer in (one, other)]
        listed, same = ([(row["model"], row["metadata"], row["isArchived"]) for row in page] for page in pages)
        assert sorted(listed, key=repr) == sorted(same, key=repr) or "limit" in query, query
        counts[query] = (len(pages[0]), one.json().get("nextCursor") is None, other.json().get("nextCursor") is None)
    assert [count for count, *_ in counts.values()] == [4, 2, 3, 2, 0, 2, 2, 1, 2, 1, 0, 4, 0, 0, 0, 0]
    assert all(ends == others for _, ends, others in counts.values())


def test_they_keep_every_field_of_a_message(contestants: list[Contestant]) -> None:
    (last,) = answers(contestants, Request("GET", f"{MESSAGES}?limit=1"))[0].json()["messages"]
    sent = every_field(NewMessage, id="01KAGQ3WAH5RZ6E1D8K3F0PB00", parentId=last["id"])
    one, other = answers(contestants, append(sent))
    assert (one.status, differs(one, other)) == (201, None)
    one, other = answers(contestants, append(sent))
    assert (one.status, differs(one, other)) == (200, None)
    for name in set(sent) - {"id", "role", "content"}:
        one, other = answers(contestants, append({**sent, name: None}))
        assert (one.status, differs_in_code(one, other)) == (409, None), name
    one, other = answers(contestants, Request("GET", f"{MESSAGES}?limit=1"))
    assert differs(one, other) is None
    (shown,) = other.json()["messages"]
    assert {name: shown[name] for name in sent} == sent


def test_they_import_and_export_every_field(contestants: list[Contestant]) -> None:
    user = {"x-user-id": "someone with everything"}
    first = {"id": "first", "role": "user", "content": TEXT, "createdAt": TIME}
    conversation = every_field(DocumentConversation, messages=[first, every_field(DocumentMessage)])
    del conversation["forkedFrom"]  # the JavaScript has no branches
    body = json.dumps({"version": 1, "conversation": conversation})
    headers = {**user, "content-type": "application/x-ndjson", "idempotency-key": "every-field"}
    reports = [answer.json() for answer in answers(contestants, Request("POST", "/api/import", body, headers))]
    assert reports[0] == reports[1]
    (imported,) = reports[0]["imported"]
    exports = answers(contestants, Request("GET", f"/api/conversations/{imported['id']}/export", headers=user))
    one, other = [{**answer.json(), "exportedAt": ""} for answer in exports]
    assert one == other
    assert set(other["conversation"]) == set(conversation) - {"leafId"}  # it is that of the last message
    assert set(other["conversation"]["messages"][1]) == set(every_field(DocumentMessage))


@pytest.mark.parametrize(
    "query",
    [
        "cafe",
        "CAFÉ naive",
        "日本",
        '"naïve café"',
        "sisyphus",
        "σισυφος",
        "strasse ß",
        "हिन्दी",
        "lodz orsted",
        "cooperation",
        "wide",
        "국",
        "eclair",
        '"one two three" two',
        "+ 👩",
        "find",
        "two",
        "hidden",
        "seen",
        "last",
        "mulling",
        "asked told",
        "cited sources",
        "datum",
    ],
)
def test_they_find_the_same(contestants: list[Contestant], query: str) -> None:
    one, other = answers(contestants, Request("GET", f"/api/conversations/search?q={quote(query)}"))
    assert (one.status, differs(one, other)) == (200, None)


def differs_in_code(one: Response, other: Response) -> str | None:
    """Where two refusals differ: words may."""
    found = []
    for answer in (one, other):
        error = answer.json()["error"]
        details = {name: value for name, value in error.get("details", {}).items() if name in ("ids", "messageCount")}
        found.append((answer.status, error["code"], details))
    return None if found[0] == found[1] else f"{found[0]} and {found[1]}"


REFUSED = {
    "not JSON": append("{"),
    "not UTF-8 JSON type": Request("POST", MESSAGES, "{}", {"content-type": "text/plain"}),
    "half a character": append('{"role": "user", "content": [{"type": "text", "text": "\\ud83d"}]}'),
    "no content": append({"role": "user", "content": []}),
    "content that is a number": append({"role": "user", "content": 5}),
    "no role": append({"content": TEXT}),
    "another role": append({"role": "robot", "content": TEXT}),
    "an unknown key": append({"role": "user", "content": TEXT, "more": 1}),
    "an id with a space": append({"id": "a b", "role": "user", "content": TEXT}),
    "an id of 129 characters": append({"id": "x" * 129, "role": "user", "content": TEXT}),
    "an id that is a reserved word": append({"id": "search", "role": "user", "content": TEXT}),
    "an id that is a step in a path": append({"parentId": "..", "role": "user", "content": TEXT}),
    "a block without a type": append({"role": "user", "content": [{"text": "x"}]}),
    "a block that is no object": append({"role": "user", "content": ["x"]}),
    "a text that is no text": append({"role": "user", "content": [{"type": "text", "text": 1}]}),
    "no input": append({"role": "user", "content": [{"type": "tool_use", "id": "a", "name": "b"}]}),
    "a result of no call": append({"role": "tool", "content": [{"type": "tool_result", "content": "a"}]}),
    "a result of two calls": append(
        {"role": "tool", "content": [{"type": "tool_result", "toolUseId": "a", "tool_use_id": "b"}]}
    ),
    "a negative count": append({"role": "user", "content": TEXT, "tokenCount": -1}),
    "a count that is no integer": append({"role": "user", "content": TEXT, "tokenCount": 1.5}),
    "a model of two lines": append({"role": "user", "content": TEXT, "model": "a\nb"}),
    "metadata that is a list": append({"role": "user", "content": TEXT, "metadata": []}),
    "metadata that is large": append({"role": "user", "content": TEXT, "metadata": {"a": "x" * 17_000}}),
    "NUL in a name of metadata": append({"role": "user", "content": TEXT, "metadata": {"a\0": 1}}),
    "deep nesting": append({"role": "user", "content": [{"type": "x", "y": json.loads("[" * 99 + "]" * 99)}]}),
    "a large message": append({"role": "user", "content": [{"type": "text", "text": "x" * 1_500_001}]}),
    "no messages": append({"messages": []}),
    "an id twice": append({"messages": [{"id": ID, "role": "user", "content": TEXT}] * 2}),
    "too many messages": append({"messages": [{"role": "user", "content": TEXT}] * 1_001}),
    "another count": append({"messages": [{"id": ID, "role": "user", "content": TEXT}], "expectedMessageCount": 1}),
    "a conversation that is not there": Request("GET", f"/api/conversations/{ID}/messages"),
    "an append to none": Request(
        "POST", f"/api/conversations/{ID}/messages", json.dumps({"role": "user", "content": TEXT})
    ),
    "an export of none": Request("GET", f"/api/conversations/{ID}/export"),
    "an id that is none": Request("GET", "/api/conversations/a%20b/messages"),
    "a reserved word in a path": Request("GET", "/api/conversations/active/messages"),
    "an id in another case": Request("GET", f"/api/conversations/{long_conversation().lower()}/messages"),
    "a limit of 0": Request("GET", f"{MESSAGES}?limit=0"),
    "a limit that is no number": Request("GET", f"{MESSAGES}?limit=1e1"),
    "an unknown field": Request("GET", f"{MESSAGES}?page=1"),
    "a field twice": Request("GET", f"{MESSAGES}?limit=1&limit=2"),
    "cursor and after": Request("GET", f"{MESSAGES}?cursor={ID}&after=1"),
    "a cursor that is none": Request("GET", f"{MESSAGES}?cursor=abc"),
    "the mark of a cursor and none": Request("GET", f"{MESSAGES}?cursor=~abc"),
    "an id behind the mark of a cursor": Request("GET", f"/api/conversations?cursor=~{long_conversation()}"),
    "the id of no message": Request("GET", f"{MESSAGES}?cursor={ID}"),
    "a cursor of another epoch": Request("GET", "/api/conversations/changes?since=WyJyIiwieCIsMSwyLDAsMF0"),
    "a search for nothing": Request("GET", "/api/conversations/search?q=%20"),
    "a search without a query": Request("GET", "/api/conversations/search"),
    "a search from after to": Request("GET", "/api/conversations/search?q=a&from=2&to=1"),
    "a key of nobody": Request("GET", "/api/conversations", headers={"authorization": "Bearer tk_other"}),
    "a user that is none": Request("GET", "/api/conversations", headers={"x-user-id": "x" * 256}),
    "no such address": Request("GET", "/api/nothing"),
    "a bookmark that is none": Request("GET", "/api/conversations", headers={"x-d1-bookmark": "x"}),
    "a key that is none": Request("POST", "/api/import", "{}", {"idempotency-key": "a b"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_they_refuse_the_same(contestants: list[Contestant], name: str) -> None:
    one, other = answers(contestants, REFUSED[name])
    assert one.status >= 400
    assert differs_in_code(one, other) is None


def test_they_keep_any_id_to_the_letter(contestants: list[Contestant]) -> None:
    ids = ["550e8400-e29b-41d4-a716-446655440000", "m", "M", "a.b:c@d_e-f", "...", "x" * 128, "WyJiIiwxMDBd"]
    for id_, before in zip(ids, [None, *ids], strict=False):
        one, other = answers(contestants, append({"id": id_, "parentId": before, "role": "user", "content": TEXT}))
        assert (one.status, differs(one, other)) == (201, None)
    for id_ in ids:  # the last of them is a cursor, too, as they were made before the mark
        one, other = answers(contestants, Request("GET", f"{MESSAGES}?limit=3&cursor={id_}"))
        assert (one.status, differs(one, other)) == (200, None)


def test_they_take_a_cursor_from_before_the_mark(contestants: list[Contestant]) -> None:
    answers(
        contestants, append({"messages": [{"id": f"hello-{n}", "role": "user", "content": TEXT} for n in range(4)]})
    )
    for path in (MESSAGES, "/api/conversations", "/api/conversations/search?q=hello"):
        join = "&" if "?" in path else "?"
        one, other = answers(contestants, Request("GET", f"{path}{join}limit=2"))
        cursors = [answer.json()["nextCursor"] for answer in (one, other)]
        assert cursors[0] == cursors[1] == f"~{cursors[0][1:]}"
        for cursor in (cursors[0], cursors[0][1:]):
            one, other = answers(contestants, Request("GET", f"{path}{join}limit=2&cursor={cursor}"))
            assert (one.status, differs(one, other)) == (200, None)


def test_they_skip_the_same_documents(contestants: list[Contestant]) -> None:
    documents = [
        {
            "version": 1,
            "conversation": {"messages": [{"role": "user", "content": TEXT, "createdAt": "2024-05-18T02:40:00Z"}]},
        },
        {"version": 2, "conversation": {"messages": []}},
        {"version": 1, "conversation": {"messages": [{"role": "robot", "content": TEXT}]}},
        {"version": 1, "conversation": {"messages": [{"id": "a", "role": "user", "content": TEXT}] * 2}},
        {"version": 1, "conversation": {"title": "A title", "isArchived": True, "messages": [], "more": 1}},
    ]
    body = "\n\n".join(json.dumps(document) for document in documents) + "\n{"
    headers = {"content-type": "application/x-ndjson", "idempotency-key": "test", "x-user-id": "someone"}
    for _ in range(2):  # a repeat is imported already
        one, other = (answer.json() for answer in answers(contestants, Request("POST", "/api/import", body, headers)))
        assert one["imported"] == other["imported"]
        assert len(one["imported"]) == 2
        skipped = [[(entry["index"], entry["error"]["code"]) for entry in report["skipped"]] for report in (one, other)]
        assert skipped == [[(1, "invalid"), (2, "invalid"), (3, "invalid"), (5, "invalid")]] * 2


def test_what_is_kept_answers_for_nobody_else(contestants: list[Contestant]) -> None:
    stranger = {"x-user-id": "a stranger"}
    one, other = answers(contestants, Request("GET", MESSAGES, headers=stranger))
    assert one.status == 404
    assert differs_in_code(one, other) is None
    one, other = answers(contestants, Request("GET", "/api/conversations", headers=stranger))
    assert differs(one, other) is None
    assert one.json()["conversations"] == []


def test_a_contestant_that_does_not_start_is_named(tmp_path: Path) -> None:
    broken = Contestant(JAVASCRIPT, "d1", SHAPE, tmp_path)
    (tmp_path / "broken.js").write_text("export default {")
    broken.worker = JavaScriptWorker(tmp_path / "broken.js", broken.worker.state.folder, store="d1")
    with pytest.raises(Problem, match="hono on d1 does not start"):
        broken.__enter__()
