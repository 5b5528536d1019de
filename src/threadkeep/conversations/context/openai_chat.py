"""Messages of OpenAI's chat completions; and a history as its `messages`.

Source: https://platform.openai.com/docs/api-reference/chat/create, and the types of its SDK, which tests hold this
against.
"""

from typing import Any

from threadkeep.conversations.context.media import data_url
from threadkeep.conversations.context.parts import (
    Call,
    Findings,
    Media,
    Part,
    Read,
    Reader,
    Result,
    Text,
    Turn,
    dict_in,
    json_text,
    objects,
    string,
)
from threadkeep.conversations.context.written import Fragment, Ids, Written, fragments, name_of, output_of

_NAME_MAX = 64
_ID_MAX = 40
_AUDIO = {"audio/wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def read_message(block: dict[str, Any], read: Read) -> list[Part]:
    """A whole message, as one that is more than a role and a content is kept."""
    message = dict_in(block, "message") or block  # LangChain's `ChatMessage` has this type as well
    role = string(message.get("role"))
    if role == "tool":
        return [Result(call_id=string(message.get("tool_call_id")), content=message.get("content"))]
    parts = read(message.get("content"))
    if text := string(message.get("refusal")) or string(dict_in(message, "audio").get("transcript")):
        parts += read_refusal({"refusal": text}, read) if message.get("refusal") else [Text(text=text)]
    for call in objects(message.get("tool_calls")):
        is_custom = call.get("type") == "custom"
        tool = dict_in(call, "custom" if is_custom else "function")
        value = tool.get("input" if is_custom else "arguments")
        parts.append(Call(id=string(call.get("id")), name=string(tool.get("name")), input=value, is_custom=is_custom))
    for part in parts:
        part.role = part.role or (role if role in ("user", "assistant", "system", "developer") else "")
        part.speaker = string(message.get("name"))
    return parts


def read_refusal(block: dict[str, Any], read: Read) -> list[Part]:
    """A refusal, which is a text of another kind."""
    text = string(block.get("refusal"))
    return [Text(text=text, of="openai-chat", native={"type": "refusal", "refusal": text})]


READ: dict[str, Reader] = {"chat": read_message, "refusal": read_refusal}


class _Writer:
    """Writes parts as those of a content, or as calls."""

    def __init__(self, findings: Findings, read: Read) -> None:
        self._findings = findings
        self._read = read
        self.begin_turn()

    def begin_turn(self) -> None:
        """Let ids come again: here a result belongs to the message before it, whatever ids were before."""
        self._ids = Ids(self._findings, _ID_MAX)

    def part(self, part: Part, role: str) -> Fragment | None:
        """A part that is no result; None where it cannot be said in this role."""
        if isinstance(part, Call):
            return self._call(part)
        if isinstance(part, Text):
            return _text(part, role)
        return _media(part) if isinstance(part, Media) and role == "user" else None

    def _call(self, call: Call) -> Fragment:
        id_, name = self._ids.of(call), name_of(call, _NAME_MAX)
        if call.is_custom:
            return {"id": id_, "type": "custom", "custom": {"name": name, "input": json_text(call.input)}}
        return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments_of(call)}}

    def result(self, call: Call, written: Fragment) -> Fragment:
        """The result of a call that is written."""
        result = call.result
        assert result is not None  # noqa: S101 of every call, once it is paired
        output = output_of(result, lambda part: _text(part, "tool"), self._findings, self._read)
        return {"role": "tool", "tool_call_id": written["id"], "content": _short(output)}


def arguments_of(call: Call) -> str:
    """The input of a call as the text that OpenAI has it as."""
    return json_text(call.input if call.input not in (None, "") else {})


def write(turns: list[Turn], findings: Findings, read: Read) -> Written:
    """Write a history. Messages of an assistant are joined where a call of one has no result before the next."""
    writer = _Writer(findings, read)
    messages: list[Fragment] = []
    for turn in turns:
        writer.begin_turn()
        written = fragments(turn, writer.part, findings)
        calls = [(part, call) for part, call in written if isinstance(part, Call)]
        joined: dict[int, list[tuple[Part, Fragment]]] = {}
        for part, fragment in written:
            seq = min(part.seq, calls[0][0].seq) if calls else part.seq
            joined.setdefault(seq, []).append((part, fragment))
        messages += [_message(turn.role, said) for said in joined.values()]
        messages += [writer.result(part, call) for part, call in calls]
    return Written(messages, [])


def _message(role: str, written: list[tuple[Part, Fragment]]) -> Fragment:
    message: Fragment = {"role": role}
    if name := written[0][0].speaker:
        message["name"] = name
    content = [fragment for part, fragment in written if not isinstance(part, Call)]
    message["content"] = _short(content) if content else None  # which servers like OpenAI's want to be there
    if calls := [fragment for part, fragment in written if isinstance(part, Call)]:
        message["tool_calls"] = calls
    return message


def _short(content: str | list[Fragment]) -> str | list[Fragment]:
    """A content of one text as that text, which every server takes that is like OpenAI's."""
    if isinstance(content, list) and len(content) < 2 and all(part["type"] == "text" for part in content):
        return "".join(part["text"] for part in content)
    return content


def _text(part: Part, role: str) -> Fragment | None:
    if not isinstance(part, Text):
        return None
    if part.of == "openai-chat" and part.native and role == "assistant":
        return part.native
    return {"type": "text", "text": part.text}


def _media(media: Media) -> Fragment | None:
    if media.of == "openai-chat":
        return media.native
    if not (media.url or media.data):
        return None
    if media.kind == "image":
        return {"type": "image_url", "image_url": {"url": data_url(media)}}
    if media.kind == "audio" and media.data and media.media_type in _AUDIO:
        return {"type": "input_audio", "input_audio": {"data": media.data, "format": _AUDIO[media.media_type]}}
    if media.kind != "audio" and media.data:
        return {"type": "file", "file": {"filename": media.name or "file", "file_data": data_url(media)}}
    return None
