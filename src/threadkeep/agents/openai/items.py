"""Items as they are kept: with an id, a type and a status, as OpenAI completes them. All else stays as it was sent."""

import hashlib
from collections.abc import Callable

import msgspec
from msgspec import Raw

from threadkeep.agents.checks import checked_name
from threadkeep.errors import Invalid

MESSAGE = "message"
_PREFIXES = {
    MESSAGE: "msg",
    "code_interpreter_call": "ci",
    "compaction": "cmp",
    "computer_call": "cu",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "file_search_call": "fs",
    "function_call": "fc",
    "function_call_output": "fco",
    "image_generation_call": "ig",
    "local_shell_call": "lsh",
    "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcpa",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "reasoning": "rs",
    "web_search_call": "ws",
}
_WITH_A_STATUS = (MESSAGE, "function_call", "function_call_output")
_COMPLETED = Raw(b'"completed"')
_TEXT = {"assistant": b'[{"type":"output_text","text":%b,"annotations":[],"logprobs":[]}]'}
_TEXT_OF_OTHERS = b'[{"type":"input_text","text":%b}]'

Fields = dict[str, Raw]
"""The fields of an item, each to the letter."""


def minted(prefix: str, request: str, number: int) -> str:
    """An id that looks as OpenAI's do. The same write makes the same ids when it is sent again."""
    return f"{prefix}_{hashlib.sha256(f'{request}/{number}'.encode()).hexdigest()[:48]}"


def fields_of(item: Raw) -> Fields:
    """The fields of an item that is an object, or none of anything else."""
    try:
        return msgspec.json.decode(item, type=Fields)
    except msgspec.ValidationError:
        return {}


def completed(item: Raw, path: str, mint: Callable[[str], str]) -> Fields:
    """The fields that an item is kept with, the id first; `mint` makes one by its prefix. Raises Invalid."""
    fields = fields_of(item)
    role = _text(fields, "role", path)
    kind = _text(fields, "type", path) or (MESSAGE if role else "")
    if not kind:
        raise Invalid(
            f"{path}: An item is an object with a `type`, such as `function_call`, or a message with a `role`.", path
        )
    if kind == MESSAGE:
        if not role:
            raise Invalid(f"{path}.role: A message has a `role`, such as `user` or `assistant`.", f"{path}.role")
        fields["content"] = _content(fields.get("content"), role, f"{path}.content")
    if kind in _WITH_A_STATUS and not _text(fields, "status", path):
        fields["status"] = _COMPLETED
    given = _text(fields, "id", path)
    id_ = checked_name(given, f"{path}.id") if given else mint(_PREFIXES.get(kind, "item"))
    named = {"id": Raw(msgspec.json.encode(id_)), "type": Raw(msgspec.json.encode(kind))}
    return named | {name: value for name, value in fields.items() if name not in named}


def _content(content: Raw | None, role: str, path: str) -> Raw:
    """The content of a message as a list: a text is one part of it."""
    start = b"" if content is None else bytes(content).lstrip()[:1]
    if content is None or start not in (b'"', b"["):
        raise Invalid(f"{path}: The content of a message is a text, or a list of parts.", path)
    return Raw(_TEXT.get(role, _TEXT_OF_OTHERS) % bytes(content)) if start == b'"' else content


def _text(fields: Fields, name: str, path: str) -> str | None:
    """What a field says, if it is there and not null. Raises Invalid where it is no text."""
    try:
        return msgspec.json.decode(fields.get(name, b"null"), type=str | None)
    except msgspec.ValidationError as error:
        raise Invalid(f"{path}.{name}: Must be a string.", f"{path}.{name}") from error
