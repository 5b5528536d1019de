"""Items of OpenAI's Responses; and a history as its `input`.

Source: https://platform.openai.com/docs/api-reference/responses/create, and the types of its SDK, which tests hold this
against.
"""

from itertools import groupby
from typing import Any

from threadkeep.conversations.context.media import data_url
from threadkeep.conversations.context.openai_chat import arguments_of
from threadkeep.conversations.context.parts import (
    Call,
    Findings,
    Media,
    Native,
    Part,
    Read,
    Reader,
    Result,
    Text,
    Thinking,
    Turn,
    as_object,
    given,
    json_text,
    objects,
    string,
)
from threadkeep.conversations.context.written import Fragment, Ids, Written, fragments, name_of, output_of

_NAME_MAX = 64
_ID_MAX = 64
_ROLES = ("user", "assistant", "system", "developer")
_OUTPUT = "_output"


def read_message(item: dict[str, Any], read: Read) -> list[Part]:
    """A message, which has the role of a side within."""
    parts = read(item.get("content"))
    native = given(item)
    if isinstance(item.get("content"), list):
        native["content"] = [given(each) for each in objects(item["content"])]
    role = string(item.get("role"))
    for part in parts:
        part.of, part.native = "openai-responses", native
        part.role = role if role in _ROLES else ""
    return parts


def read_text(block: dict[str, Any], read: Read) -> list[Part]:
    """`input_text`, `output_text`, and others that are a text."""
    return [Text(text=string(block.get("text")))]


def read_call(item: dict[str, Any], read: Read) -> list[Part]:
    """A call of a function, or of a custom tool."""
    is_custom = item["type"] == "custom_tool_call"
    call = Call(
        id=string(item.get("call_id")) or string(item.get("id")),
        item_id=string(item.get("id")),
        name=string(item.get("name")),
        input=item.get("input" if is_custom else "arguments"),
        is_custom=is_custom,
        of="openai-responses",
        native=given(item),
    )
    if item.get("status") in ("in_progress", "incomplete"):
        call.is_unfinished = is_custom or as_object(call.input) is None
    return [call]


def read_output(item: dict[str, Any], read: Read) -> list[Part]:
    """What a call returned."""
    native = given(item, "id", "status")
    output = item.get("output")
    return [Result(call_id=string(item.get("call_id")), content=output, of="openai-responses", native=native)]


def read_reasoning(item: dict[str, Any], read: Read) -> list[Part]:
    """What a model thought."""
    return [Thinking(of="openai-responses", native=given(item))]


def read_own(item: dict[str, Any], read: Read) -> list[Part]:
    """What only OpenAI has. Some of it is a call, whose output is an item of its own."""
    kind = item["type"]
    pair = string(item.get("call_id")) if kind.removesuffix(_OUTPUT) in _CALLS else ""
    return [Native(of="openai-responses", native=given(item), pair=pair, is_result=kind.endswith(_OUTPUT))]


_CALLS = ("computer_call", "local_shell_call", "shell_call", "apply_patch_call")
_ALONE = (
    *("file_search_call", "web_search_call", "image_generation_call", "code_interpreter_call", "mcp_call"),
    *("mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "item_reference", "compaction"),
)
READ: dict[str, Reader] = {
    "message": read_message,
    **dict.fromkeys(("input_text", "output_text", "summary_text", "reasoning_text"), read_text),
    **dict.fromkeys(("function_call", "custom_tool_call"), read_call),
    **dict.fromkeys(("function_call_output", "custom_tool_call_output"), read_output),
    **dict.fromkeys((*_CALLS, *(call + _OUTPUT for call in _CALLS), *_ALONE), read_own),
}


class _Writer:
    """Writes parts as items, or as parts of the content of one."""

    def __init__(self, findings: Findings, read: Read) -> None:
        self._findings = findings
        self._read = read
        self._ids = Ids(findings, _ID_MAX)
        self._items: dict[str, int] = {}

    def item(self, part: Part, role: str) -> Fragment | None:
        """A part that is no result; None where it cannot be said in this role, or was said."""
        native = part.native if part.of == "openai-responses" else None
        if isinstance(part, Call):
            return self._call(part, native or {})
        if native is not None and _is_item(native):
            return self._once(part, native)
        if isinstance(part, Text):
            return {"type": "input_text", "text": part.text}
        return _media(part) if isinstance(part, Media) and role != "assistant" else None

    def _once(self, part: Part, native: Fragment) -> Fragment | None:
        """An item whose id comes once: a message loses it where it comes again, and all else is left out."""
        id_ = string(native.get("id"))
        if not id_ or self._items.setdefault(id_, id(native)) == id(native):
            return native
        self._findings.add(part, "id_repeated")
        if not isinstance(part, Text):
            return None
        return {"role": native["role"], "content": part.text}

    def _call(self, call: Call, native: Fragment) -> Fragment:
        item_id = string(native.get("id"))
        if self._items.setdefault(item_id, id(native)) != id(native):
            native = {name: value for name, value in native.items() if name != "id"}
        item = {"call_id": self._ids.of(call), "name": name_of(call, _NAME_MAX)}
        if call.is_custom:
            return {**native, "type": "custom_tool_call", **item, "input": json_text(call.input)}
        return {**native, "type": "function_call", **item, "arguments": arguments_of(call)}

    def output(self, call: Call, written: Fragment) -> Fragment:
        """The output of a call that is written."""
        result = call.result
        assert result is not None  # noqa: S101 of every call, once it is paired
        native = result.native if result.of == "openai-responses" and result.native else {}
        if self._items.setdefault(string(native.get("id")), id(native)) != id(native):
            native = {}
        output = output_of(result, _part, self._findings, self._read)
        return {**native, "type": f"{written['type']}{_OUTPUT}", "call_id": written["call_id"], "output": output}


def write(turns: list[Turn], findings: Findings, read: Read) -> Written:
    """Write a history, one item after the other. Outputs stand behind all calls of a turn."""
    writer = _Writer(findings, read)
    items: list[Fragment] = []
    for turn in turns:
        written = fragments(turn, writer.item, findings)
        outputs = [writer.output(part, call) for part, call in written if isinstance(part, Call)]
        for _, group in groupby(written, _item_of):
            items += _items(turn.role, list(group))
        items += outputs
    return Written(items, [])


def _is_item(fragment: Fragment) -> bool:
    """Whether it is an item, and not a part of the content of one."""
    return not string(fragment.get("type")).startswith("input_")


def _item_of(written: tuple[Part, Fragment]) -> tuple[int, int]:
    """What parts have in common that are one item: the item, or the message that they were said in."""
    part, fragment = written
    return (0, id(fragment)) if _is_item(fragment) else (part.seq, 0)


def _items(role: str, written: list[tuple[Part, Fragment]]) -> list[Fragment]:
    part, fragment = written[0]
    if _is_item(fragment):
        return [fragment]
    if role == "assistant":
        return [{"role": role, "content": each["text"]} for _, each in written]
    content: str | list[Fragment] = [each for _, each in written]
    if len(content) == 1 and isinstance(part, Text):
        content = part.text
    return [{"role": role, "content": content}]


def _part(part: Part) -> Fragment | None:
    """A part of the content of a message, or of an output."""
    if part.of == "openai-responses" and part.native:
        return part.native
    if isinstance(part, Text):
        return {"type": "input_text", "text": part.text}
    return _media(part) if isinstance(part, Media) else None


def _media(media: Media) -> Fragment | None:
    if media.of == "openai-responses":
        return media.native
    if media.kind == "audio" or not (media.url or media.data):
        return None
    if media.kind == "image":
        return {"type": "input_image", "image_url": data_url(media), "detail": "auto"}
    if media.url:
        return {"type": "input_file", "file_url": media.url}
    return {"type": "input_file", "filename": media.name or "file", "file_data": data_url(media)}
