"""What a model is sent: whether its provider takes it, and histories to make it of, in the forms of the SDKs.

The rules are those of the providers, as their errors and documents tell them, and written here apart from our code.
"""

import json
from typing import Any

from msgspec import Raw
from msgspec import json as msgspec_json

from threadkeep.conversations.context.view import view
from threadkeep.conversations.models import Message
from threadkeep.work import finished

DIALECTS = ("anthropic", "openai-chat", "openai-responses")
FORMS = (*DIALECTS, "ai-sdk", "langchain")
Stored = dict[str, Any]


def message(seq: int, stored: Stored) -> Message:
    """A message as a store has it. Its id is `m` and its `seq`, unless it has one."""
    content = stored["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    metadata = stored.get("metadata")
    return Message(
        id=stored.get("id", f"m{seq}"),
        conversation_id="c",
        seq=seq,
        role=stored["role"],
        content=Raw(json.dumps(blocks).encode()),
        created_at=0,
        token_count=None,
        model=None,
        parent_id=None,
        follows=seq - 1,
        version=1,
        metadata=Raw(json.dumps(metadata).encode()) if metadata else Raw(b""),
    )


def seen(stored: list[Stored], dialect: Any, most: int = 10**9, *, is_rest: bool = False) -> Any:
    """The view of messages, as plain values; None where the last exchange does not fit."""
    messages = [message(seq, each) for seq, each in enumerate(stored, 1)]
    value = finished(view(messages, dialect, most, is_rest=is_rest))
    return json.loads(msgspec_json.encode(value))


def sent(stored: list[Stored], dialect: Any) -> list[Any]:
    """The messages of the view."""
    return list(seen(stored, dialect)["written"]["messages"])


def repairs(stored: list[Stored], dialect: Any = "anthropic") -> list[tuple[str, int | None, str]]:
    """The repairs of the view."""
    return [(each["messageId"], each["block"], each["what"]) for each in seen(stored, dialect)["repairs"]]


def stored_again(messages: list[Any], dialect: str) -> list[Stored]:
    """What was written, as an app stores it by docs/shapes.md."""
    if dialect == "openai-responses":
        return [_stored_item(item) for item in messages]
    return [each if len(each) == 2 else {"role": each["role"], "content": [_chat(each)]} for each in messages]


def _stored_item(item: Any) -> Stored:
    if "type" not in item:
        return dict(item)
    role = item.get("role") or ("tool" if item["type"].endswith("_output") else "assistant")
    return {"role": role, "content": [item]}


def _chat(each: Any) -> Stored:
    return {"type": "chat", "message": each}


def faults(messages: list[Any], dialect: str) -> list[str]:
    """Why the provider would refuse it."""
    check = {"anthropic": _of_anthropic, "openai-chat": _of_chat, "openai-responses": _of_responses}
    return check[dialect](messages)


def _of_anthropic(messages: list[Any]) -> list[str]:
    found = []
    roles = [each["role"] for each in messages]
    if roles != [("user", "assistant")[index % 2] for index in range(len(roles))]:
        found.append(f"roles: {roles}")
    known: set[str] = set()
    for index, each in enumerate(messages):
        blocks = each["content"]
        kinds = [block["type"] for block in blocks]
        if not blocks:
            found.append(f"{index} is empty")
        if any(not block["text"].strip() for block in blocks if block["type"] == "text"):
            found.append(f"{index} has a blank text")
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        following = messages[index + 1]["content"] if index + 1 < len(messages) else []
        results = [block["tool_use_id"] for block in following if block["type"] == "tool_result"]
        if sorted(calls) != sorted(results) or len({*calls}) < len(calls) or known & {*calls}:
            found.append(f"{index}: calls {calls}, results {results}")
        known |= {*calls}
        if kinds != sorted(kinds, key=lambda kind: kind != "tool_result"):
            found.append(f"{index}: results stand behind {kinds}")
        if each["role"] == "assistant" and kinds and kinds[-1] == "thinking":
            found.append(f"{index} ends with thinking")
        wrong = {"tool_use", "thinking"} if each["role"] == "user" else {"tool_result", "image", "document"}
        if wrong & {*kinds}:
            found.append(f"{index}: {each['role']} says {kinds}")
    if messages and any(block["type"] == "tool_result" for block in messages[0]["content"]):
        found.append("a result comes first")
    return found


def _of_chat(messages: list[Any]) -> list[str]:
    found = []
    waiting: list[str] = []
    for index, each in enumerate(messages):
        if each["role"] == "tool":
            if each["tool_call_id"] not in waiting:
                found.append(f"{index}: no call before {each['tool_call_id']}")
            else:
                waiting.remove(each["tool_call_id"])
            continue
        if waiting:
            found.append(f"{index}: no results for {waiting}")
        if not each.get("content") and not each.get("tool_calls"):
            found.append(f"{index} is empty")
        waiting = [call["id"] for call in each.get("tool_calls", ())]
    return found + [f"no result for {id_}" for id_ in waiting]


def _of_responses(items: list[Any]) -> list[str]:
    found = []
    ids = [item["id"] for item in items if "id" in item]
    if len({*ids}) < len(ids):
        found.append(f"an item comes twice: {ids}")
    waiting: list[str] = []
    known: set[str] = set()
    for index, item in enumerate(items):
        kind = item.get("type", "message")
        if kind == "function_call":
            if item["call_id"] in known:
                found.append(f"{index}: {item['call_id']} comes twice")
            known.add(item["call_id"])
            waiting.append(item["call_id"])
        elif kind == "function_call_output":
            if item["call_id"] not in waiting:
                found.append(f"{index}: no call before {item['call_id']}")
            else:
                waiting.remove(item["call_id"])
        elif kind == "reasoning" and (
            index + 1 == len(items) or items[index + 1].get("role") == "user" or "output" in items[index + 1]
        ):
            found.append(f"{index}: nothing follows what it thought")
    return found + [f"no result for {id_}" for id_ in waiting]


# A valid history is a list of steps: ("user", text), ("assistant", text), ("calls", text, [id, …]), each of which has
# its results. Each form makes messages to store of it, and what is written of these.


def history_in(form: str, steps: list[tuple[Any, ...]]) -> list[Stored]:
    """A history, as an app stores it that has it from this SDK."""
    made: list[Stored] = []
    for kind, text, *calls in steps:
        if kind != "calls":
            made.append({"role": kind, "content": _said(form, kind, text)})
            continue
        ids = calls[0]
        if form == "ai-sdk":
            made.append({"role": "assistant", "content": [*_text_of_ai_sdk(text), *map(_part, ids)]})
            continue
        made.append({"role": "assistant", "content": _called(form, text, ids)})
        made += [{"role": "tool" if form != "anthropic" else "user", "content": each} for each in _returned(form, ids)]
    return made


def _said(form: str, role: str, text: str) -> Any:
    match form:
        case "ai-sdk":
            return _text_of_ai_sdk(text)
        case "openai-responses":
            kind = "output_text" if role == "assistant" else "input_text"
            more: Stored = {"annotations": []} if role == "assistant" else {}
            item = {"type": "message", "role": role, "content": [{"type": kind, "text": text, **more}]}
            return [item | ({"id": f"msg_{text}", "status": "completed"} if role == "assistant" else {})]
        case "langchain":
            kind = {"user": "human", "assistant": "ai", "system": "system"}[role]
            return [{"type": kind, "data": {"content": text, "type": kind}}]
    return text if form == "openai-chat" else [{"type": "text", "text": text}]


def _text_of_ai_sdk(text: str) -> list[Any]:
    return [{"type": "step-start"}, {"type": "text", "text": text, "state": "done"}]


def _part(id_: str) -> Any:
    return {
        "type": "tool-find",
        "toolCallId": id_,
        "state": "output-available",
        "input": {"q": f"for {id_}"},
        "output": f"r{id_}",
    }


def _called(form: str, text: str, ids: list[str]) -> list[Any]:
    arguments = [json.dumps({"q": f"for {id_}"}) for id_ in ids]
    match form:
        case "openai-chat":
            calls = [
                {"id": id_, "type": "function", "function": {"name": "find", "arguments": value}}
                for id_, value in zip(ids, arguments, strict=True)
            ]
            return [_chat({"role": "assistant", "content": text, "tool_calls": calls})]
        case "openai-responses":
            return [
                *_said(form, "assistant", text),
                *(
                    {"type": "function_call", "id": f"fc_{id_}", "call_id": id_, "name": "find", "arguments": value}
                    for id_, value in zip(ids, arguments, strict=True)
                ),
            ]
        case "langchain":
            calls = [{"name": "find", "args": {"q": f"for {id_}"}, "id": id_, "type": "tool_call"} for id_ in ids]
            return [{"type": "ai", "data": {"content": text, "type": "ai", "tool_calls": calls}}]
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    calls = [{"type": "tool_use", "id": id_, "name": "find", "input": {"q": f"for {id_}"}} for id_ in ids]
    return [thought, {"type": "text", "text": text}, *calls]


def _returned(form: str, ids: list[str]) -> list[list[Any]]:
    """The contents of messages with the results: one for each, but for Anthropic's."""
    match form:
        case "openai-chat":
            return [[_chat({"role": "tool", "tool_call_id": id_, "content": f"r{id_}"})] for id_ in ids]
        case "openai-responses":
            return [[{"type": "function_call_output", "call_id": id_, "output": f"r{id_}"} for id_ in ids]]
        case "langchain":
            data = [{"content": f"r{id_}", "type": "tool", "tool_call_id": id_, "status": "success"} for id_ in ids]
            return [[{"type": "tool", "data": each}] for each in data]
    return [[{"type": "tool_result", "tool_use_id": id_, "content": f"r{id_}"} for id_ in ids]]
