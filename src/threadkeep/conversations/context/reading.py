"""Reads a stored message into its parts, whichever SDK the blocks of its content came from."""

from typing import Any

from threadkeep.conversations.context import ai_sdk, anthropic, langchain, media, openai_chat, openai_responses
from threadkeep.conversations.context.parts import Call, Part, Read, Reader, Text, Unknown, as_object, dict_in, plain
from threadkeep.conversations.models import Message

_INTERRUPTED = ("interrupted", "failed")


def _read_reasoning(block: dict[str, Any], read: Read) -> list[Part]:
    """What a model thought; three have this type."""
    if "summary" in block:
        return openai_responses.read_reasoning(block, read)
    if "reasoning" in block:
        return langchain.read_reasoning(block, read)
    return ai_sdk.read_reasoning(block, read)


def _read_tool_call(block: dict[str, Any], read: Read) -> list[Part]:
    """A call of a tool; two have this type."""
    return (ai_sdk.read_tool_of_librechat if dict_in(block, "tool_call") else langchain.read_call)(block, read)


_READ: dict[str, Reader] = {
    **media.READ,
    **ai_sdk.READ,
    **langchain.READ,
    **openai_chat.READ,
    **openai_responses.READ,
    **anthropic.READ,
    "reasoning": _read_reasoning,
    "tool_call": _read_tool_call,
}


def parts_of(message: Message) -> list[Part]:
    """The parts of a message, in order. What is for people to see, and blank text, is none."""
    metadata = plain(message.metadata) if message.metadata else None
    is_interrupted = dict_in(metadata, "stream").get("state") in _INTERRUPTED
    parts = []
    begins_step = False
    for index, block in enumerate(plain(message.content)):
        begins_step = begins_step or block["type"] == ai_sdk.STEP
        for part in _read_block(block):
            part.begins_step, begins_step = begins_step, False
            part.message, part.seq, part.block = message.id, message.seq, index
            part.role = part.role or message.role
            if isinstance(part, Call) and is_interrupted and not part.is_custom and as_object(part.input) is None:
                part.is_unfinished = True
            parts.append(part)
    return parts


def read(content: Any) -> list[Part]:
    """The parts of a content: a string, or blocks."""
    if isinstance(content, str):
        content = [content]
    return [part for block in content for part in _read_block(block)] if isinstance(content, list) else []


def _read_block(block: Any) -> list[Part]:
    if isinstance(block, str):
        block = {"type": "text", "text": block}
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str):
        return [Unknown()]
    if kind in ai_sdk.SCREEN or kind.startswith("data-"):
        return []
    reads = _READ.get(kind) or (ai_sdk.read_tool if kind.startswith("tool-") else None)
    parts = reads(block, read) if reads else [Unknown()]
    return [part for part in parts if not isinstance(part, Text) or part.text.strip()]
