"""Messages of LangChain, each of which is a block: as `messages_to_dict`, `dumpd` and `model_dump` make them."""

from typing import Any

from threadkeep.conversations.context.parts import (
    Call,
    Part,
    Read,
    Reader,
    Result,
    Thinking,
    dict_in,
    objects,
    string,
)

_ROLES = {"human": "user", "ai": "assistant", "system": "system", "developer": "developer", "tool": "tool"}
_CLASSES = {"HumanMessage": "human", "AIMessage": "ai", "SystemMessage": "system", "ToolMessage": "tool"}


def read_message(block: dict[str, Any], read: Read) -> list[Part]:
    """A message: its content, and the calls that its content does not have already."""
    data = dict_in(block, "data") or dict_in(block, "kwargs") or block
    kind = block["type"]
    if kind == "constructor":
        kind = string(data.get("type"))
        if kind not in _ROLES and isinstance(block.get("id"), list):
            kind = next((_CLASSES[name] for name in block["id"] if name in _CLASSES), "")
    if kind == "tool":
        is_error = True if data.get("status") == "error" else None
        return [Result(call_id=string(data.get("tool_call_id")), content=data.get("content"), is_error=is_error)]
    parts = read(data.get("content"))
    known = {part.id for part in parts if isinstance(part, Call)}
    for call in objects(data.get("tool_calls")) + objects(data.get("invalid_tool_calls")):
        if call.get("id") not in known:
            parts += read_call(call, read)
    for part in parts:
        part.role = part.role or _ROLES.get(kind, "")
    return parts


def read_call(block: dict[str, Any], read: Read) -> list[Part]:
    """A call, as a message has it beside its content, or within."""
    return [Call(id=string(block.get("id")), name=string(block.get("name")), input=block.get("args"))]


def read_reasoning(block: dict[str, Any], read: Read) -> list[Part]:
    """What a model thought, with the signature of its provider where there is one."""
    signature = dict_in(block, "extras").get("signature")
    if not signature:
        return [Thinking()]
    native = {"type": "thinking", "thinking": string(block.get("reasoning")), "signature": signature}
    return [Thinking(of="anthropic", native=native)]


READ: dict[str, Reader] = {
    **dict.fromkeys((*_ROLES, "constructor"), read_message),
    "invalid_tool_call": read_call,
}
