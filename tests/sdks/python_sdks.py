"""What the SDKs in Python make of the answers of `provider.py`, how that is stored, and whether it comes back.

`python python_sdks.py NAME URL MAPPING`, where MAPPING is a file with the lines of docs/shapes.md for that SDK, prints
the messages as they are stored.
"""

import json
import runpy
import sys
from collections.abc import Callable
from typing import Any

ASKED = "How is the weather in Nürnberg?"
REPORT = "overcast and breezy, 11 degrees"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}}}

Store = Callable[[Any], dict[str, Any]]
Load = Callable[[dict[str, Any]], Any]


def openai_chat(url: str, store: Store, load: Load) -> list[dict[str, Any]]:
    """A call of a tool, what it returned, and an answer, over the chat completions of OpenAI."""
    from openai import OpenAI
    from openai.types.chat import ChatCompletionMessage

    client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
    messages: list[Any] = [{"role": "system", "content": "Be laconic."}, {"role": "user", "content": ASKED}]
    answers = []
    for _ in range(2):
        answer = client.chat.completions.create(model="gpt-of-the-tests", messages=messages, tools=tools)
        answers.append(answer.choices[0].message)
        messages.append(answers[-1].model_dump(mode="json"))
        messages += [
            {"role": "tool", "tool_call_id": call.id, "content": REPORT} for call in answers[-1].tool_calls or ()
        ]
    stored = _through_json([store(message) for message in messages])
    loaded = [load(message) for message in _as_kept(stored)]
    assert [_with_strings(message) for message in loaded] == messages
    assert [
        ChatCompletionMessage.model_validate(message) for message in loaded if message["role"] == "assistant"
    ] == answers
    return stored


def openai_responses(url: str, store: Store, load: Load) -> list[dict[str, Any]]:
    """The same over the Responses of OpenAI."""
    from openai import OpenAI

    client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    tools: Any = [{"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}]
    turns: list[Any] = [
        ("user", [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": ASKED}]}])
    ]
    for _ in range(2):
        items = [item for _, turn in turns for item in turn]
        response = client.responses.create(model="gpt-of-the-tests", input=items, tools=tools)
        turns.append(("assistant", [item.model_dump(mode="json") for item in response.output]))
        results = [
            {"type": "function_call_output", "call_id": item.call_id, "output": REPORT}
            for item in response.output
            if item.type == "function_call"
        ]
        turns += [("tool", results)] if results else []
    stored = _through_json([store(turn) for turn in turns])
    assert [load(message) for message in _as_kept(stored)] == turns
    return stored


def anthropic(url: str, store: Store, load: Load) -> list[dict[str, Any]]:
    """The same over the Messages of Anthropic."""
    from anthropic import Anthropic

    client = Anthropic(base_url=url, api_key="none", max_retries=0)
    tools: Any = [{"name": "get_weather", "input_schema": SCHEMA}]
    messages: list[Any] = [{"role": "user", "content": ASKED}]
    for _ in range(2):
        answer = client.messages.create(model="claude-of-the-tests", max_tokens=99, messages=messages, tools=tools)
        messages.append({"role": answer.role, "content": answer.model_dump(mode="json")["content"]})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": REPORT, "is_error": False}
            for block in answer.content
            if block.type == "tool_use"
        ]
        messages += [{"role": "user", "content": results}] if results else []
    stored = _through_json([store(message) for message in messages])
    loaded = [load(message) for message in _as_kept(stored)]
    assert [_with_strings(message) for message in loaded] == messages
    return stored


def langchain(url: str, store: Store, load: Load) -> list[dict[str, Any]]:
    """Messages of LangChain, of each kind. Its core has no provider: they are made by hand."""
    from langchain_core.messages import (
        AIMessage,
        HumanMessage,
        SystemMessage,
        ToolMessage,
        messages_from_dict,
        messages_to_dict,
    )

    call = {"name": "get_weather", "args": {"city": "Nürnberg", "unit": "celsius"}, "id": "call_1", "type": "tool_call"}
    messages = [
        SystemMessage("Be laconic."),
        HumanMessage(ASKED, id="human-1"),
        AIMessage(
            [
                {"type": "reasoning", "reasoning": "Pondering the barometer first."},
                {"type": "text", "text": "One moment, peeking outside."},
            ],
            tool_calls=[call],
            usage_metadata={"input_tokens": 20, "output_tokens": 9, "total_tokens": 29},
            response_metadata={"model_name": "gpt-of-the-tests"},
            id="ai-1",
        ),
        ToolMessage(REPORT, tool_call_id="call_1", name="get_weather", id="tool-1"),
        AIMessage("Drizzle in Nuremberg, bring a parasol anyway.", id="ai-2"),
    ]
    stored = _through_json([store(message) for message in messages_to_dict(messages)])
    assert messages_from_dict([load(message) for message in _as_kept(stored)]) == messages
    return stored


def _through_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _as_kept(stored: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What comes back: a content that was a string is a block of text."""
    return [
        {**message, "content": [{"type": "text", "text": message["content"]}]}
        if isinstance(message["content"], str)
        else message
        for message in stored
    ]


def _with_strings(message: dict[str, Any]) -> dict[str, Any]:
    """The same where a content of one text is a string, which to the provider is the same."""
    content = message["content"]
    is_text = isinstance(content, list) and len(content) == 1 and content[0].keys() == {"type", "text"}
    return {**message, "content": content[0]["text"]} if is_text else message


if __name__ == "__main__":
    name, url, mapping = sys.argv[1:]
    lines = runpy.run_path(mapping)
    made = {
        "openai-chat": openai_chat,
        "openai-responses": openai_responses,
        "anthropic": anthropic,
        "langchain": langchain,
    }[name](url, lines["store"], lines["load"])
    sys.stdout.write(json.dumps(made, ensure_ascii=False, indent=2) + "\n")
