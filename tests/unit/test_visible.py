"""What of a content people see, in the shapes of each provider and SDK."""

from typing import Any

import pytest

from threadkeep.conversations.visible import visible_strings

SEEN: dict[str, tuple[list[Any], list[str]]] = {
    "text": ([{"type": "text", "text": "yes", "title": "no", "citations": [{"text": "no"}]}], ["yes"]),
    "what a model thought": ([{"type": "thinking", "thinking": "yes", "signature": "no"}], ["yes"]),
    "what nobody may read": ([{"type": "redacted_thinking", "data": "no"}], []),
    "a type that nobody has heard of": ([{"type": "next_year", "text": "yes", "id": "no", "more": "no"}], ["yes"]),
    "a type that nobody has heard of, with blocks": (
        [{"type": "next_year", "id": "no", "content": [{"type": "more", "title": "a", "text": ["b", {"text": "c"}]}]}],
        ["a", "b", "c"],
    ),
    "fields with something else in them": (
        [{"type": "x", "text": 1, "content": None, "data": "no", "title": True, "input": 1.5, "summary": {"no": "no"}}],
        [],
    ),
    "an image and a file": (
        [
            {"type": "image", "source": {"type": "base64", "data": "no"}, "text": "no"},
            {"type": "file", "url": "no", "filename": "plan.pdf", "mediaType": "no"},
            {"type": "file", "file": {"filename": "menu.pdf", "file_data": "no"}},
        ],
        ["plan.pdf", "menu.pdf"],
    ),
    "what a tool was called with": (
        [{"type": "tool_use", "id": "no", "name": "no", "input": {"no": ["a", {"no": "b"}]}}],
        ["a", "b"],
    ),
    "what a tool was called with, as text": (
        [
            {
                "type": "tool_use",
                "id": "no",
                "name": "no",
                "input": '{"q":"caf\\u00e9\\nbar","w":"a\\\\b \\ud83d\\ude00"}',
            }
        ],
        ['{"q":"café\nbar","w":"a\\b 😀"}'],
    ),
    "arguments that are cut off, with half of a character": (
        [{"type": "function_call", "arguments": '{"q":"one\\ntwo \\ud83d'}],
        ['{"q":"one\ntwo \\ud83d'],
    ),
    "a free text for a tool": ([{"type": "custom_tool_call", "input": "a\\nb"}], ["a\\nb"]),
    "what a tool returned": (
        [
            {"type": "tool_result", "toolUseId": "no", "content": {"a": "one"}},
            {
                "type": "tool_result",
                "tool_use_id": "no",
                "is_error": True,
                "content": [{"type": "text", "text": "two"}],
            },
            {"type": "tool_result", "tool_use_id": "no"},
            {"type": "tool_result", "toolUseId": "no", "content": '["three\\tfour"]'},
        ],
        ["one", "two", '["three\tfour"]'],
    ),
    "bytes": (
        [
            {"type": "tool_result", "toolUseId": "no", "content": ["data:image/png;base64,iVBORw0KGgo=", "iVBO" * 50]},
            {"type": "tool_result", "toolUseId": "no", "content": ["data: of last year", "x" * 199, "é" * 200]},
        ],
        ["data: of last year", "x" * 199, "é" * 200],
    ),
    "what Anthropic's server found": (
        [
            {
                "type": "web_search_tool_result",
                "tool_use_id": "no",
                "content": [{"title": "Owls", "url": "https://owls.example", "encrypted_content": "Eo4C" * 60}],
            }
        ],
        ["Owls", "https://owls.example"],
    ),
    "a call of OpenAI's chat": (
        [{"id": "no", "type": "function", "function": {"name": "no", "arguments": '{"city":"Łódź"}'}}],
        ['{"city":"Łódź"}'],
    ),
    "OpenAI's responses": (
        [
            {
                "type": "reasoning",
                "id": "no",
                "summary": [{"type": "summary_text", "text": "a"}],
                "encrypted_content": "no",
            },
            {"type": "web_search_call", "id": "no", "status": "no", "action": {"type": "search", "query": "b"}},
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "c", "annotations": [{"title": "no"}]},
                    {"type": "refusal", "refusal": "d"},
                ],
            },
            {"type": "function_call", "call_id": "no", "name": "no", "arguments": '{"e":1}'},
            {"type": "function_call_output", "call_id": "no", "output": "f"},
            {"type": "image_generation_call", "result": "no"},
            {"type": "code_interpreter_call", "code": "print()", "outputs": [{"type": "logs", "logs": "g"}]},
        ],
        ["a", "b", "c", "d", '{"e":1}', "f", "print()", "g"],
    ),
    "parts of the AI SDK": (
        [
            {"type": "step-start"},
            {"type": "reasoning", "text": "a", "state": "done", "providerMetadata": {"x": {"signature": "no"}}},
            {
                "type": "tool-weather",
                "toolCallId": "no",
                "state": "output-available",
                "input": {"city": "b"},
                "output": {"report": ["c"]},
            },
            {"type": "tool-weather", "toolCallId": "no", "state": "input-streaming"},
            {"type": "dynamic-tool", "toolName": "no", "title": "d", "input": "e", "errorText": "f"},
            {"type": "source-url", "sourceId": "no", "url": "https://g.example", "title": "h"},
            {"type": "source-document", "sourceId": "no", "mediaType": "no", "title": "i", "filename": "j"},
            {"type": "data-weather", "id": "no", "data": {"city": "k", "temperature": 21, "type": "l"}},
        ],
        ["a", "b", "c", "d", "e", "f", "https://g.example", "h", "i", "j", "k", "l"],
    ),
    "messages of LangChain": (
        [
            {"type": "human", "data": {"content": "a", "type": "human", "id": "no"}},
            {
                "type": "ai",
                "data": {
                    "content": [{"type": "text", "text": "b"}, {"type": "reasoning", "reasoning": "c"}],
                    "tool_calls": [{"name": "no", "args": {"city": "d"}, "id": "no", "type": "tool_call"}],
                    "response_metadata": {"model": "no"},
                },
            },
            {"type": "tool", "content": "e", "tool_call_id": "no"},
        ],
        ["a", "b", "c", "d", "e"],
    ),
}


@pytest.mark.parametrize(("blocks", "strings"), [pytest.param(*row, id=case) for case, row in SEEN.items()])
def test_what_people_see_is_searched_in_order_and_nothing_else(blocks: list[Any], strings: list[str]) -> None:
    assert list(visible_strings(blocks)) == strings


def test_it_is_read_however_deep_it_is() -> None:
    block: dict[str, Any] = {"type": "x", "text": "deep"}
    for _ in range(5_000):
        block = {"type": "x", "content": [block]}
    assert list(visible_strings([block])) == ["deep"]
