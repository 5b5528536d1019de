"""Turns the messages that scripts/bench makes up into what frameworks hold."""

import json
from typing import Any

Message = dict[str, Any]


def items_of(message: Message) -> list[dict[str, Any]]:
    """A message as items of the OpenAI Agents SDK: a text is one, and so is a call."""
    items: list[dict[str, Any]] = []
    for block in message["content"]:
        if block["type"] == "text":
            items.append({"role": message["role"], "content": block["text"]})
        elif block["type"] == "tool_use":
            arguments = json.dumps(block["input"])
            items.append(
                {"type": "function_call", "call_id": block["id"], "name": block["name"], "arguments": arguments}
            )
        else:
            output = json.dumps(block["content"])
            items.append({"type": "function_call_output", "call_id": block["toolUseId"], "output": output})
    return items


def message_of(message: Message) -> Any:
    """A message as graphs of LangGraph hold it."""
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

    content = message["content"]
    if message["role"] == "user":
        return HumanMessage(content, id=message["id"])
    if message["role"] == "tool":
        result = content[0]
        return ToolMessage(json.dumps(result["content"]), tool_call_id=result["toolUseId"], id=message["id"])
    calls = [
        {"name": block["name"], "args": block["input"], "id": block["id"]}
        for block in content
        if block["type"] == "tool_use"
    ]
    return AIMessage([block for block in content if block["type"] == "text"], tool_calls=calls, id=message["id"])
