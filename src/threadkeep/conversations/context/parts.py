"""The parts of stored messages, in one form for all providers and SDKs."""

from collections.abc import Callable, Collection
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

Dialect = Literal["anthropic", "openai-chat", "openai-responses"]

What = Literal[
    "result_moved",
    "result_repeated",
    "result_missing",
    "call_missing",
    "call_unfinished",
    "id_repeated",
    "input_wrapped",
    "left_out",
    "before_user",
    "empty",
]

TOLD = ("system", "developer")
"""The roles of whoever tells the model what it is to do, and takes no part in the conversation."""
INTERRUPTED = "The call was interrupted; no result is known."
"""The result that a call without one gets."""


class Part(Struct, kw_only=True):
    """Something that a message says. Where it stands is filled in by whoever reads the message."""

    message: str = ""
    seq: int = 0
    block: int = 0
    place: int = 0
    """Its place among all parts of a history."""
    role: str = ""
    """Whose it is. A block may say so itself; otherwise it is the role of its message."""
    begins_step: bool = False
    """Whether the AI SDK has another step of the model begin with it."""
    speaker: str = ""
    """The name of whoever of that role says it, where chat completions have one."""
    of: Dialect | None = None
    """The provider whose form `native` has."""
    native: dict[str, Any] | None = None
    """The same in a provider's own form, where that says more. Parts of one item share it."""


class Text(Part, kw_only=True):
    """Words."""

    text: str


class Thinking(Part, kw_only=True):
    """What a model thought. Only its provider takes it back, and only in its own form."""


class Media(Part, kw_only=True):
    """An image, a file or a recording: at a URL, or its bytes in base64."""

    media_type: str = ""
    url: str = ""
    data: str = ""
    name: str = ""

    @property
    def kind(self) -> str:
        """`image`, `audio`, or what else it is by its type."""
        return self.media_type.partition("/")[0]


class Native(Part, kw_only=True):
    """What only one provider knows, such as a tool that it runs itself."""

    pair: str = ""
    """What its call and its result have in common; nothing where it stands alone."""
    is_result: bool = False


class Unknown(Part, kw_only=True):
    """What no provider takes."""


class Result(Part, kw_only=True):
    """What a tool returned."""

    call_id: str
    content: Any = None
    is_error: bool | None = None
    is_within: bool = False
    """Whether it stands in the block of its call, so that the next call may have been made beside that one."""
    turn: int = -1
    """The turn that it stood behind."""


class Call(Part, kw_only=True):
    """A call of a tool."""

    id: str
    item_id: str = ""
    """Another id that it has: of the item that it is, by which nothing should refer to it, but something may."""
    name: str
    input: Any
    """An object, or the text of one; of a custom tool, any text."""
    is_custom: bool = False
    is_unfinished: bool = False
    """Whether it was cut off while the model wrote it."""
    turn: int = -1
    result: Result | None = None


class Turn(Struct):
    """What one side says until the other does: all that an assistant says until results come; else, one message."""

    role: str
    parts: list[Part]

    @property
    def is_question(self) -> bool:
        """Whether a user says something in it."""
        return self.role == "user" and any(isinstance(part, Text | Media) for part in self.parts)


class Repair(Struct, rename="camel"):
    """Where what the model is sent is not what is stored."""

    message_id: str
    block: int | None
    """The index in its content, counted from 0; null where it is the whole message."""
    what: What


class Findings:
    """The repairs that were made, each with the `seq` of its message."""

    def __init__(self) -> None:
        self._found: list[tuple[int, int, Repair]] = []
        self._known: set[tuple[int, int | None, str]] = set()

    def add(self, part: Part, what: What, *, whole: bool = False) -> None:
        """Add one, unless it is known."""
        block = None if whole else part.block
        if (part.seq, block, what) not in self._known:
            self._known.add((part.seq, block, what))
            self._found.append((part.seq, -1 if whole else part.block, Repair(part.message, block, what)))

    def listed(self, kept: Collection[int], since: int) -> list[Repair]:
        """Those of messages by their `seq`: of some, and of all from one on. They come in order."""
        found = sorted(self._found, key=lambda each: each[:2])
        return [repair for seq, _, repair in found if seq >= since or seq in kept]


Read = Callable[[Any], list[Part]]
"""Reads a content, a string or blocks, into its parts."""
Reader = Callable[[dict[str, Any], Read], list[Part]]
"""Reads a block into its parts; what is within it, by what it is handed."""

_decoder = msgspec.json.Decoder(float_hook=lambda text: Raw(text.encode()))


def plain(text: bytes | str | Raw) -> Any:
    """The values of a JSON text, with every number as it was written. Raises ValueError for what is no JSON."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError("This is not JSON.") from error


def json_text(value: Any) -> str:
    """A value as JSON; a string is what it says."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def as_object(value: Any) -> dict[str, Any] | None:
    """The object that an input is, or is the text of; None where it is neither. Nothing is an empty one."""
    if isinstance(value, str):
        if not value.strip():
            return {}
        try:
            value = plain(value)
        except ValueError:
            return None
    if value is None:
        return {}
    return value if isinstance(value, dict) else None


def string(value: Any) -> str:
    """A field that should be a string; an empty one where it is something else."""
    return value if isinstance(value, str) else ""


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a field that should be a list of these."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def given(block: dict[str, Any], *names: str) -> dict[str, Any]:
    """Those of the fields of a block that say something: all, or those that are named."""
    return {name: block[name] for name in (names or block) if block.get(name) is not None}


def dict_in(block: Any, name: str) -> dict[str, Any]:
    """A field that should be an object; an empty one where it is something else."""
    value = block.get(name) if isinstance(block, dict) else None
    return value if isinstance(value, dict) else {}
