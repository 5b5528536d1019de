"""Checks that schemathesis makes beside its own: whether a refusal of what the document allows has a reason.

No schema says all that is refused. What one cannot say is written down here, by the message of each refusal, and looked
up in the request itself: a refusal with another message, or of a request for which it does not hold, fails the trial.
This is loaded into the environment of schemathesis, and so knows nothing of the code that it judges.
"""

import json
import re
from base64 import b64decode, b64encode, urlsafe_b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from unicodedata import category, normalize
from urllib.parse import parse_qsl, unquote, urlsplit

import schemathesis

HEADERS = {
    "x-d1-bookmark": r"[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}",
    "if-match": r'\*|(W/)?"(0|[1-9][0-9]{0,14})"',
    "idempotency-key": r"[!-~]{1,255}",
}
"""What these headers have to be. Some of its requests have 0 in them, and are counted as good ones."""


class Sent:
    """A request as it was sent."""

    def __init__(self, response: Any, path: str) -> None:
        """`path` is that of the operation, with the names of what is in it."""
        request = response.request
        self.path = path
        self.headers: dict[str, str] = {name.lower(): _text(value) for name, value in request.headers.items()}
        self.steps = [unquote(step) for step in urlsplit(request.url).path.split("/")[1:]]
        self.last_step = self.steps[-1]
        self.query = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
        self.text = _text(request.body or "")

    @property
    def body(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.text)

    def at(self, place: str) -> Any:
        """What is at a place of the body, such as `messages[0].id`."""
        value = self.body
        for name, index in re.findall(r"(\w+)|\[(\d+)\]", place):
            value = value[int(index)] if index else value[name]
        return value


def _text(sent: str | bytes) -> str:
    return sent.decode(errors="surrogateescape") if isinstance(sent, bytes) else sent


def _is_cursor(text: str) -> bool:
    text = text.removeprefix("~")
    try:
        return isinstance(json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4))), list)
    except ValueError:
        return False


def _malformed(sent: Sent) -> list[str]:
    """The headers that are not what they have to be."""
    known = HEADERS.keys() & sent.headers.keys()
    return [name for name in known if not re.fullmatch(HEADERS[name], sent.headers[name])]


def _has_version(sent: Sent) -> bool:
    return '"' in sent.headers.get("if-match", "") or "expectedMessageCount" in sent.text


def _words(sent: Sent) -> int:
    """How many words a query may have at the most: each letter or digit may be one."""
    return sum(character.isalnum() for character in normalize("NFKD", sent.query["q"]))


def _ids(sent: Sent) -> list[str]:
    """The ids that a request brings with it, for a conversation or for messages."""
    given = [sent.body, *(sent.body.get("messages") or [])]
    return [each["id"] for each in given if each.get("id") is not None]


def _names(value: Any) -> Iterator[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    yield from value if isinstance(value, dict) else ()
    for each in inner:
        yield from _names(each)


def _texts(value: Any) -> Iterator[str]:
    """All strings in JSON, and all names."""
    if isinstance(value, str):
        yield value
    yield from _names(value)
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(each)


def _has_no_name(sent: Sent, place: str, most: int) -> bool:
    """Whether something is no name: where it is said to be, or in the address, which may call it something else."""
    texts = [*sent.steps, *sent.query.values()]
    if sent.query.get(place) == "":
        return True
    with suppress(ValueError):  # there is no body, or it is no JSON
        texts += _texts(sent.body) if place not in sent.query else []
    with suppress(ValueError):
        texts += [name for value in sent.query.values() for name in _texts(json.loads(value))]
    return any(not _is_name(text, most) for text in texts if text)


def _is_name(text: str, most: int) -> bool:
    has_control = any(category(character) == "Cc" for character in text)
    return len(text.encode(errors="surrogatepass")) <= most and not has_control and text not in (".", "..")


def _is_json_of(text: str, kind: type) -> bool:
    try:
        return isinstance(json.loads(text), kind)
    except ValueError:
        return False


def _is_base64(text: str) -> bool:
    try:
        return b64encode(b64decode(text, validate=True)).decode() == text
    except ValueError:
        return False


def _has(sent: Sent, *names: str) -> bool:
    """Whether the body of a request has one of these fields."""
    return bool(sent.body.keys() & {*names})


def _media_type(sent: Sent) -> str:
    return sent.headers.get("content-type", "")


_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"


def _placeholders(sent: Sent) -> set[str]:
    return {*re.findall(r"\{(\w+)\}", sent.path)}


OF_STATE: dict[str, Callable[[Sent, str], bool]] = {
    # Something has the right form, and leads nowhere.
    r"There is no journal ": lambda sent, _: "/api/journals/{space}/{key}" in sent.path,
    r"There is no task ": lambda sent, _: "{task}" in sent.path,
    r"There is no blob ": lambda sent, _: "/api/blobs/" in sent.path,
    r"There is no thread ": lambda sent, _: _has(sent, "source"),
    r"There is no item ": lambda sent, _: "{item}" in sent.path,
    r"after: There is no such item": lambda sent, _: "after" in sent.query,
    r"(cursor|last-event-id): This is not a cursor": lambda sent, place: (
        not _is_cursor(sent.query.get(place) or sent.headers[place])
    ),
    r"after: Send the `updated_at` and the `id`": lambda sent, _: (
        not re.fullmatch(r"(0|[1-9][0-9]{0,15}),.+", sent.query["after"], re.DOTALL)
    ),
    # A name is counted in bytes, and what looks like a step of a path never arrives.
    r"[\w.[\]-]+: A name (has 1 to 512 bytes|is neither)": lambda sent, place: _has_no_name(sent, place, 512),
    r"space: A name has 1 to 64 bytes": lambda sent, place: not _is_name(sent.steps[2], 64),
    r"key: At this address are the rows": lambda sent, _: sent.last_step == "rows",
    # What is there is not as the request has it.
    r"The (journal|blob|task) .* exists already, ": lambda sent, _: sent.path.startswith(
        ("/api/j", "/api/b", "/api/q")
    ),
    r"The journal (is at version|has the status)": lambda sent, _: (
        "if-match" in sent.headers or _has(sent, "expected", "statusIs")
    ),
    r"The journal is closed": lambda sent, _: sent.path.endswith("/entries"),
    r"Some of these ids or places are taken": lambda sent, _: sent.path.endswith("/entries"),
    r"The task that guards this append": lambda sent, _: _has(sent, "guard"),
    r"Another producer has claimed": lambda sent, _: sent.path.endswith("/pop") or _has(sent, "producer"),
    r"The next append of this producer": lambda sent, _: _has(sent, "producer"),
    r"Another writer has claimed this thread": lambda sent, _: "/api/threads/" in sent.path,
    r"The checkpoint .* is an ancestor of itself": lambda sent, _: sent.path.endswith("/deltas"),
    r"The lane .* (is closed|has tasks)": lambda sent, _: "/api/queues/" in sent.path,
    r"Other items were sent with this Idempotency-Key": lambda sent, _: "idempotency-key" in sent.headers,
    # Two fields go together, or do not.
    r"mode: A journal is replaced whatever": lambda sent, _: sent.body["mode"] == "replace",
    r"\w+: (It does not go with|Say which, for) the view": lambda sent, _: bool(
        {"view", "lane", "host"} & set(sent.query)
    ),
    r"keep: Only `clear`": lambda sent, _: sent.body["do"] != "clear",
    r"status: Journals of one status": lambda sent, _: {"status", "order"} <= set(sent.query),
    r"at: What removes entries": lambda sent, _: _has(sent, "cut", "remove"),
    r"entries: An append of a producer": lambda sent, _: not sent.body.get("entries"),
    r"create: Nobody has claimed": lambda sent, _: _has(sent, "producer") and sent.body["create"],
    r"entries\[\d+\]\.id: This is also the id of": lambda sent, place: sent.text.count(json.dumps(sent.at(place))) > 1,
    r"guard: Name both": lambda sent, _: len({"settlement", "settlementId"} & set(sent.body["guard"])) == 1,
    r"threads: Say which, either": lambda sent, _: len({"threads", "updatedBefore"} & _given(sent)) != 1,
    r"source: It is the thread itself": lambda sent, _: sent.body["source"] in sent.steps,
    r"parent: A checkpoint has another one": lambda sent, _: sent.body["parent"] == sent.body["id"],
    r"(\w+): Send either `\1`": lambda sent, place: {"cursor", place} <= set(sent.query),
    # A text has a form that no pattern says.
    r"\w+: It is not (JSON|an object)": lambda sent, place: not _is_json_of(sent.query[place], dict),
    r"channels: Send a JSON array": lambda sent, _: not _is_json_of(sent.query["channels"], list),
    r"[\w.[\]]+: It is not base64": lambda sent, place: not _is_base64(sent.at(place)),
    r"x-meta: (This is not JSON|Metadata is a JSON object|A header is ASCII)": lambda sent, _: (
        not (sent.headers["x-meta"].isascii() and _is_json_of(sent.headers["x-meta"], dict))
    ),
    r"content-digest: ": lambda sent, _: "content-digest" in sent.headers,
    r"content-type: This is not a media type": lambda sent, _: not re.match(f"{_TOKEN}/{_TOKEN}", _media_type(sent)),
    r"(error|if): .* NUL": lambda sent, _: "\\u0000" in sent.text,
    r"(head|note): A merge patch is an object": lambda sent, place: not isinstance(sent.body[place], dict),
    # Items and metadata of OpenAI's are of many kinds.
    r"items\[\d+\].*: (An item is|A message has|The content of|Must be a)": lambda sent, _: bool(sent.body["items"]),
    r"metadata: Must be a string of at most 64": lambda sent, _: any(len(name) > 64 for name in sent.body["metadata"]),
}


def _given(sent: Sent) -> set[str]:
    """The fields of a body that are not null."""
    return {name for name, value in sent.body.items() if value is not None}


def _has_float(sent: Sent, place: str) -> bool:
    """Whether there is a number with a fraction at a place, or under any name that is there."""
    value = sent.at(place.removesuffix("[...]"))
    return any(isinstance(each, float) for each in (value.values() if isinstance(value, dict) else [value]))


REASONS: dict[str, Callable[[Sent, str], bool]] = {
    **OF_STATE,
    # Something has the right form, and leads nowhere.
    r"(cursor|since): This is not a cursor of this list": lambda sent, place: not _is_cursor(sent.query[place]),
    r"This cursor ": lambda sent, _: _is_cursor(sent.query["since"]),
    r"There is no message ": lambda sent, _: "{mid}" in sent.path,
    r"There is no conversation ": lambda sent, _: bool({"id", "conversation"} & _placeholders(sent)),
    r"The conversation \S+ (exists already|is deleted)": lambda sent, _: bool(_ids(sent)) or "{id}" in sent.path,
    r"These ids are taken by other messages": lambda sent, _: bool(_ids(sent)),
    r"The conversation (is at version|has) \d+": lambda sent, _: _has_version(sent),
    # Two fields go together, or do not.
    r"after: Send either `after`": lambda sent, _: {"cursor", "after"} <= set(sent.query),
    r"to: `to` must be later": lambda sent, _: int(sent.query["from"]) >= int(sent.query["to"]),
    r"createdBefore: `createdBefore` must be later": lambda sent, _: (
        int(sent.query["createdAfter"]) >= int(sent.query["createdBefore"])
    ),
    r"model: Must be one line": lambda sent, _: (
        not sent.query["model"].strip() or any(category(each) in ("Cc", "Zl", "Zp") for each in sent.query["model"])
    ),
    r"confirm: This is not your user id": lambda sent, _: sent.query["confirm"] != sent.headers["x-user-id"],
    r"id: This is not the id in the path": lambda sent, _: sent.body["id"] != sent.last_step,
    r"messages\[\d+\]\.id: \S+ is also the id of": lambda sent, _: len(set(_ids(sent))) < len(_ids(sent)),
    # A query has something in it, at most 32 words and phrases, and 512 words in all.
    r"q: There is no word": lambda sent, _: not sent.query["q"].strip(),
    r"q: A query may have 32 words": lambda sent, _: _words(sent) > 32,
    r"q: A query may have 512 words": lambda sent, _: _words(sent) > 512,
    # To a schema 1.0 is an integer.
    r"[\w.[\]]+: Must be a whole number.*, not one with a fraction or an exponent": _has_float,
    r"[\w.[\]]+: The names in metadata must not contain": lambda sent, place: "\0" in "".join(_names(sent.at(place))),
    r"(x-d1-bookmark|if-match|idempotency-key): ": lambda sent, place: place in _malformed(sent),
}


def without_discriminators(_context: Any, document: dict[str, Any]) -> None:
    """Have a block of a type that no mapping names be an `OtherBlock`, as `x-defaultMapping` says.

    OpenAPI has a word for that from 3.2 on. Each block still has to be one of those in `oneOf`.
    """
    for schema in document["components"]["schemas"].values():
        schema.pop("discriminator", None)


def lines(_context: Any, value: Any) -> bytes:
    """Send lines of JSON as they are written down, and whatever else is made up as one line."""
    return (value if isinstance(value, str) else json.dumps(value)).encode(errors="surrogatepass")


def good_data_is_refused_for_a_reason(_context: Any, response: Any, case: Any) -> None:
    """Fail for a request that the document allows, and that was refused for no reason that is known here."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code not in range(400, 500):
        return
    error = response.json()["error"]
    sent = Sent(response, case.operation.path)
    place = (error.get("details") or {}).get("path") or error.get("param") or ""  # as OpenAI says it, too
    reasons = [holds for message, holds in REASONS.items() if re.match(message, error["message"])]
    assert reasons, f"no schema forbids this, and no reason is known: {error}"
    assert all(holds(sent, place) for holds in reasons), f"this is not so of the request: {error}"


def a_bad_document_is_skipped(_context: Any, response: Any, case: Any) -> None:
    """Fail where an import of something that is no document, or no row, is not told that it was skipped."""
    is_import = case.operation.path in ("/api/import", "/api/journals/{space}/rows") and case.method == "POST"
    if case.meta is None or not case.meta.generation.mode.is_negative or not is_import or response.status_code != 200:
        return
    sent = Sent(response, case.operation.path)
    report = response.json()
    assert not _malformed(sent), f"these headers are not what they have to be: {_malformed(sent)}"
    assert report["skipped"] or not sent.text.strip(), f"this was taken for a document: {report}"


schemathesis.hook("before_load_schema")(without_discriminators)
schemathesis.serializer("application/x-ndjson")(lines)
schemathesis.check(good_data_is_refused_for_a_reason)
schemathesis.check(a_bad_document_is_skipped)
