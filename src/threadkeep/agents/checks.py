"""Checks of what clients send for the state of agents: names, digests and times."""

import hashlib
import re
from typing import Any

import msgspec
from msgspec import Raw

from threadkeep.agents.values import NAME_BYTES_MAX, SPACE_BYTES_MAX
from threadkeep.errors import Invalid
from threadkeep.ids import new_id

_is_request = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_has_control = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]").search


def request_name(given: str | None) -> str:
    """The name of a write: what the client gave it, or a new one. Raises Invalid."""
    if given is None:
        return new_id()
    if _is_request(given) is None:
        raise Invalid(
            "idempotency-key: It has 1 to 64 characters, each a letter from A to Z or a to z, a digit or one of . _ -.",
            "idempotency-key",
        )
    return given


def checked_space(space: str) -> str:
    """The name of a space itself, if it may be one. Raises Invalid."""
    return checked_name(space, "space", SPACE_BYTES_MAX)


def checked_name(name: str, path: str, most: int = NAME_BYTES_MAX) -> str:
    """A name itself, if it may be one. Raises Invalid.

    `.` and `..` are steps in a path: clients and proxies take them out before they send it, even if they are escaped.
    """
    if not is_name(name, most):
        raise Invalid(f"{path}: A name has 1 to {most} bytes in UTF-8, and no control characters.", path)
    if name in (".", ".."):
        raise Invalid(
            f"{path}: A name is neither `.` nor `..`, which are steps in a path. Add another character.", path
        )
    return name


def is_name(name: str, most: int = NAME_BYTES_MAX) -> bool:
    """Whether something may be a name."""
    return bool(name) and not _has_control(name) and len(name.encode()) <= most


def checked_label(label: str | None, path: str) -> str | None:
    """Return a label itself, if it may be one: a name, or nothing. Raises Invalid."""
    return label if not label else checked_name(label, path)


def digest_of(*values: Any, sent: list[Raw] | None = None) -> str:
    """SHA-256 of plain values, and of JSON to the letter as it was sent."""
    digest = hashlib.sha256(msgspec.json.encode(values))
    for raw in sent or []:
        digest.update(memoryview(raw))
    return digest.hexdigest()


def milliseconds(seconds: int | None) -> int | None:
    """Return seconds as milliseconds."""
    return None if seconds is None else seconds * 1_000
