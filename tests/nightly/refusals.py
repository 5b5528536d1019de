"""Checks that schemathesis makes beside its own: whether a refusal of what the document allows has a reason.

No schema says all that is refused. What one cannot say is written down here, by the message of each refusal, and looked
up in the request itself: a refusal with another message, or of a request for which it does not hold, fails the trial.
This is loaded into the environment of schemathesis, and so knows nothing of the code that it judges.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from typing import Any
from unicodedata import normalize
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
        self.last_step = unquote(urlsplit(request.url).path.rpartition("/")[2])
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


REASONS: dict[str, Callable[[Sent, str], bool]] = {
    # Something has the right form, and leads nowhere.
    r"(cursor|since): This is not a cursor of this list": lambda sent, place: not _is_cursor(sent.query[place]),
    r"This cursor ": lambda sent, _: _is_cursor(sent.query["since"]),
    r"There is no conversation ": lambda sent, _: "{id}" in sent.path,
    r"The conversation \S+ (exists already|is deleted)": lambda sent, _: bool(_ids(sent)) or "{id}" in sent.path,
    r"These ids are taken by other messages": lambda sent, _: bool(_ids(sent)),
    r"The conversation (is at version|has) \d+": lambda sent, _: _has_version(sent),
    # Two fields go together, or do not.
    r"after: Send either `after`": lambda sent, _: {"cursor", "after"} <= set(sent.query),
    r"to: `to` must be later": lambda sent, _: int(sent.query["from"]) >= int(sent.query["to"]),
    r"confirm: This is not your user id": lambda sent, _: sent.query["confirm"] != sent.headers["x-user-id"],
    r"id: This is not the id in the path": lambda sent, _: sent.body["id"] != sent.last_step,
    r"messages\[\d+\]\.id: \S+ is also the id of": lambda sent, _: len(set(_ids(sent))) < len(_ids(sent)),
    # A query has something in it, at most 32 words and phrases, and 512 words in all.
    r"q: There is no word": lambda sent, _: not sent.query["q"].strip(),
    r"q: A query may have 32 words": lambda sent, _: _words(sent) > 32,
    r"q: A query may have 512 words": lambda sent, _: _words(sent) > 512,
    # To a schema 1.0 is an integer.
    r"[\w.[\]]+: Must be a whole number.*, not one with a fraction or an exponent": lambda sent, place: isinstance(
        sent.at(place), float
    ),
    r"[\w.[\]]+: The names in metadata must not contain": lambda sent, place: "\0" in "".join(_names(sent.at(place))),
    r"(x-d1-bookmark|if-match|idempotency-key): ": lambda sent, place: place in _malformed(sent),
}


def without_discriminators(_context: Any, document: dict[str, Any]) -> None:
    """Have a block of a type that no mapping names be an `OtherBlock`, as `x-defaultMapping` says.

    OpenAPI has a word for that from 3.2 on. Each block still has to be one of those in `oneOf`.
    """
    for schema in document["components"]["schemas"].values():
        schema.pop("discriminator", None)


def good_data_is_refused_for_a_reason(_context: Any, response: Any, case: Any) -> None:
    """Fail for a request that the document allows, and that was refused for no reason that is known here."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code not in range(400, 500):
        return
    error = response.json()["error"]
    sent = Sent(response, case.operation.path)
    place = (error.get("details") or {}).get("path", "")
    reasons = [holds for message, holds in REASONS.items() if re.match(message, error["message"])]
    assert reasons, f"no schema forbids this, and no reason is known: {error}"
    assert all(holds(sent, place) for holds in reasons), f"this is not so of the request: {error}"


def a_bad_document_is_skipped(_context: Any, response: Any, case: Any) -> None:
    """Fail where an import of something that is no document is not told that it was skipped."""
    is_import = case.operation.path == "/api/import" and case.method == "POST"
    if case.meta is None or not case.meta.generation.mode.is_negative or not is_import or response.status_code != 200:
        return
    sent = Sent(response, case.operation.path)
    report = response.json()
    assert not _malformed(sent), f"these headers are not what they have to be: {_malformed(sent)}"
    assert report["skipped"] or not sent.text.strip(), f"this was taken for a document: {report}"


schemathesis.hook("before_load_schema")(without_discriminators)
schemathesis.check(good_data_is_refused_for_a_reason)
schemathesis.check(a_bad_document_is_skipped)
