"""Blocks of Anthropic's Messages, which are also ours; and a history as its `messages` and `system`.

Source: https://docs.claude.com/en/api/messages, and the types of its SDK, which tests hold this against.
"""

from typing import Any

from threadkeep.conversations.context.parts import (
    TOLD,
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
    string,
)
from threadkeep.conversations.context.written import Fragment, Ids, Written, fragments, name_of, output_of

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_NAME_MAX = 128
_KINDS: dict[str, tuple[type[Part], ...]] = {
    "user": (Text, Media, Native),
    "assistant": (Text, Thinking, Native),
    "system": (Text,),
}
_ID_MAX = 128  # none is documented: as long as an id of ours


def read_text(block: dict[str, Any], read: Read) -> list[Part]:
    """A text, as nearly everybody has it; with the citations of Anthropic, which it takes back."""
    text = block.get("text")
    if isinstance(text, dict):  # of LibreChat
        text = text.get("value")
    more = given(block, "cache_control")
    citations = block.get("citations")
    if isinstance(citations, list) and citations and all(_is_citation(each) for each in citations):
        more["citations"] = citations
    native = {"type": "text", "text": string(text), **more} if more else None
    return [Text(text=string(text), of="anthropic", native=native)]


def _is_citation(value: Any) -> bool:
    return isinstance(value, dict) and string(value.get("type")).endswith("_location")


def read_thinking(block: dict[str, Any], read: Read) -> list[Part]:
    """What a model thought. Without its signature it does not go back."""
    if block["type"] == "thinking" and not block.get("signature"):
        return [Thinking()]
    return [Thinking(of="anthropic", native=given(block, "type", "thinking", "signature", "data"))]


def read_call(block: dict[str, Any], read: Read) -> list[Part]:
    """A call."""
    native = given(block, "caller", "cache_control")
    call = Call(id=string(block.get("id")), name=string(block.get("name")), input=block.get("input"))
    call.of, call.native = "anthropic", native
    return [call]


def read_result(block: dict[str, Any], read: Read) -> list[Part]:
    """A result, with our names or theirs."""
    id_ = block.get("toolUseId") or block.get("tool_use_id")
    is_error = block.get("is_error") if block.get("isError") is None else block["isError"]
    native = given(block, "cache_control")
    result = Result(call_id=string(id_), content=block.get("content"), is_error=is_error)
    result.of, result.native = "anthropic", native
    return [result]


def read_own(block: dict[str, Any], read: Read) -> list[Part]:
    """What Anthropic runs itself, both halves of it, and other blocks that only it has."""
    is_result = block["type"].endswith("_result")
    pair = string(block.get("tool_use_id") if is_result else block.get("id"))
    return [Native(of="anthropic", native=given(block), pair=pair, is_result=is_result)]


def read_alone(block: dict[str, Any], read: Read) -> list[Part]:
    """A block that only Anthropic has."""
    return [Native(of="anthropic", native=given(block))]


READ: dict[str, Reader] = {
    "text": read_text,
    **dict.fromkeys(("thinking", "redacted_thinking"), read_thinking),
    "tool_use": read_call,
    "tool_result": read_result,
    **dict.fromkeys(
        (
            *("server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result"),
            *("bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "tool_search_tool_result"),
            *("mcp_tool_use", "mcp_tool_result"),
        ),
        read_own,
    ),
    **dict.fromkeys(("search_result", "container_upload"), read_alone),
}


class _Writer:
    """Writes parts as blocks."""

    def __init__(self, findings: Findings, read: Read) -> None:
        self._findings = findings
        self._read = read
        self._ids = Ids(findings, _ID_MAX)

    def block(self, part: Part, role: str) -> Fragment | None:
        """A part that is no result; None where it cannot be said in this role."""
        if isinstance(part, Call):
            return self._call(part)
        may_be = _KINDS[role if role in _KINDS else "system"]
        if not isinstance(part, may_be) or (isinstance(part, Native) and (role == "assistant") != bool(part.pair)):
            return None
        return _block(part)

    def _call(self, call: Call) -> Fragment:
        value = as_object(call.input)
        if value is None:
            self._findings.add(call, "input_wrapped")
            value = {"input": call.input}
        more = call.native if call.of == "anthropic" and call.native else {}
        return {"type": "tool_use", "id": self._ids.of(call), "name": name_of(call, _NAME_MAX), "input": value, **more}

    def result(self, call: Call, written: Fragment) -> Fragment:
        """The result of a call that is written."""
        result = call.result
        assert result is not None  # noqa: S101 of every call, once it is paired
        block = {"type": "tool_result", "tool_use_id": written["id"]}
        if content := output_of(result, _block, self._findings, self._read):
            block["content"] = content
        if result.is_error is not None:
            block["is_error"] = result.is_error
        return {**block, **(result.native if result.of == "anthropic" and result.native else {})}


def write(turns: list[Turn], findings: Findings, read: Read) -> Written:
    """Write a history: what is told to the model into `system`, and the two sides by turns, the user's first."""
    writer = _Writer(findings, read)
    messages: list[Fragment] = []
    system: list[Fragment] = []
    has_begun = False
    for turn in turns:
        is_told = turn.role in TOLD
        has_begun = has_begun or turn.is_question
        if not (has_begun or is_told):
            for part in turn.parts:
                findings.add(part, "before_user", whole=True)
            continue
        written = fragments(turn, writer.block, findings)
        if is_told:
            system += [block for _, block in written]
            continue
        _push(messages, turn.role, [block for _, block in written])
        _push(messages, "user", [writer.result(part, block) for part, block in written if isinstance(part, Call)])
    return Written(messages, system)


def _push(messages: list[Fragment], role: str, blocks: list[Fragment]) -> None:
    """Add what one side says, to its message before where there is one."""
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"] += blocks
    elif blocks:
        messages.append({"role": role, "content": blocks})


def _block(part: Part) -> Fragment | None:
    """A part that may stand in a message and in a result; None where there is no block for it."""
    if part.of == "anthropic" and part.native:
        return part.native
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if not (isinstance(part, Media) and (part.url or part.data)):
        return None
    if part.media_type in _IMAGES:
        kind = "image"
    elif part.media_type == "application/pdf":
        kind = "document"
    else:
        return None
    if part.url:
        return {"type": kind, "source": {"type": "url", "url": part.url}}
    return {"type": kind, "source": {"type": "base64", "media_type": part.media_type, "data": part.data}}
