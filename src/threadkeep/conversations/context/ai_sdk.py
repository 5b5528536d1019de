"""Parts of the AI SDK, and of LibreChat, which keep the result of a tool in the block of its call."""

from typing import Any

from threadkeep.conversations.context.parts import (
    Call,
    Part,
    Read,
    Reader,
    Result,
    Thinking,
    dict_in,
    given,
    string,
)

STEP = "step-start"
SCREEN = (STEP, "source-url", "source-document")
"""What is for people to see. Whatever begins with `data-` is, too."""

_RESULTS = {"output-available": False, "output-error": True, "output-denied": True}


def read_tool(block: dict[str, Any], read: Read) -> list[Part]:
    """A tool's part: the call, and its result where it has one."""
    name = string(block.get("toolName")) or block["type"].removeprefix("tool-")
    state, id_ = block.get("state"), string(block.get("toolCallId"))
    value = block.get("input")
    call = Call(
        id=id_,
        name=name,
        input=block.get("rawInput") if value is None else value,
        is_unfinished=state == "input-streaming",
    )
    if state not in _RESULTS:
        return [call]
    content = block.get("output")
    if state == "output-error":
        content = block.get("errorText")
    elif state == "output-denied":
        reason = string(dict_in(block, "approval").get("reason"))
        content = f"The user did not allow this call. {reason}".rstrip()
    return [call, Result(call_id=id_, content=content, is_error=_RESULTS[state] or None, is_within=True)]


def read_tool_of_librechat(block: dict[str, Any], read: Read) -> list[Part]:
    """A tool's part of LibreChat's."""
    inner = block["tool_call"]
    id_ = string(inner.get("id"))
    call = Call(id=id_, name=string(inner.get("name")), input=inner.get("args"))
    output = inner.get("output")
    return [call] if output is None else [call, Result(call_id=id_, content=output, is_within=True)]


def read_reasoning(block: dict[str, Any], read: Read) -> list[Part]:
    """What a model thought, with what its provider signed it by."""
    metadata = block.get("providerMetadata")
    of_anthropic, of_openai = (dict_in(metadata, name) for name in ("anthropic", "openai"))
    text = string(block.get("text"))
    if of_anthropic.get("redactedData"):
        native = {"type": "redacted_thinking", "data": of_anthropic["redactedData"]}
        return [Thinking(of="anthropic", native=native)]
    if of_anthropic.get("signature"):
        native = {"type": "thinking", "thinking": text, "signature": of_anthropic["signature"]}
        return [Thinking(of="anthropic", native=native)]
    if of_openai.get("reasoningEncryptedContent"):
        summary = [{"type": "summary_text", "text": text}] if text else []
        native = {
            "type": "reasoning",
            "summary": summary,
            "encrypted_content": of_openai["reasoningEncryptedContent"],
            **given({"id": of_openai.get("itemId")}),
        }
        return [Thinking(of="openai-responses", native=native)]
    return [Thinking()]


def read_think(block: dict[str, Any], read: Read) -> list[Part]:
    """What a model thought, as LibreChat has it: nobody signed it."""
    return [Thinking()]


READ: dict[str, Reader] = {"dynamic-tool": read_tool, "think": read_think}
