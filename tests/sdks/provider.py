"""A provider of language models on this machine: it answers as the documentation of each API says, always the same.

The SDKs ask it, and what they make of its answers is theirs.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_CALL = {"city": "Nürnberg", "unit": "celsius"}
_ARGUMENTS = json.dumps(_CALL)  # with \u00fc, as a JSON library may write it

CHAT = [
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1795000000,
        "model": "gpt-of-the-tests",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "logprobs": None,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "refusal": None,
                    "annotations": [],
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "get_weather", "arguments": _ARGUMENTS},
                        }
                    ],
                },
            }
        ],
        "usage": {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29},
    },
    {
        "id": "chatcmpl-2",
        "object": "chat.completion",
        "created": 1795000001,
        "model": "gpt-of-the-tests",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "logprobs": None,
                "message": {
                    "role": "assistant",
                    "content": "Drizzle in Nuremberg, bring a parasol anyway.",
                    "refusal": None,
                    "annotations": [],
                },
            }
        ],
        "usage": {"prompt_tokens": 40, "completion_tokens": 12, "total_tokens": 52},
    },
]
"""What the chat of OpenAI answers: first the call of a tool, and once it has its result, a text."""


def _response(number: int, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 1795000000 + number,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "gpt-of-the-tests",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": "low", "summary": "auto"},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 20,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 9,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 29,
        },
        "user": None,
        "metadata": {},
    }


RESPONSES = [
    _response(
        1,
        [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Pondering the barometer first."}],
            },
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "call_1",
                "name": "get_weather",
                "arguments": _ARGUMENTS,
                "status": "completed",
            },
        ],
    ),
    _response(
        2,
        [
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [
                    {
                        "type": "output_text",
                        "text": "Drizzle in Nuremberg, bring a parasol anyway.",
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url": "https://almanac.example/franconia",
                                "title": "Franconian almanac",
                                "start_index": 0,
                                "end_index": 7,
                            }
                        ],
                    }
                ],
            }
        ],
    ),
]
"""What the Responses of OpenAI are, in the same order."""

MESSAGES = [
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-of-the-tests",
        "content": [
            {"type": "thinking", "thinking": "Pondering the barometer first.", "signature": "c2lnbmF0dXJl"},
            {"type": "text", "text": "One moment, peeking outside."},
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": _CALL},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 20, "output_tokens": 9},
    },
    {
        "id": "msg_2",
        "type": "message",
        "role": "assistant",
        "model": "claude-of-the-tests",
        "content": [{"type": "text", "text": "Drizzle in Nuremberg, bring a parasol anyway."}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 40, "output_tokens": 12},
    },
]
"""What the Messages of Anthropic are, in the same order."""


def _events(response: dict[str, Any]) -> list[dict[str, Any]]:
    """A response of OpenAI's as it is streamed."""
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}}
    ]
    for index, item in enumerate(response["output"]):
        place = {"output_index": index, "item_id": item["id"]}
        match item["type"]:
            case "reasoning":
                text, part = item["summary"][0]["text"], {**place, "summary_index": 0}
                events += [
                    {"type": "response.output_item.added", "output_index": index, "item": {**item, "summary": []}},
                    {
                        "type": "response.reasoning_summary_part.added",
                        **part,
                        "part": {"type": "summary_text", "text": ""},
                    },
                    {"type": "response.reasoning_summary_text.delta", **part, "delta": text},
                    {"type": "response.reasoning_summary_text.done", **part, "text": text},
                    {"type": "response.reasoning_summary_part.done", **part, "part": item["summary"][0]},
                ]
            case "function_call":
                started = {**item, "arguments": "", "status": "in_progress"}
                events += [
                    {"type": "response.output_item.added", "output_index": index, "item": started},
                    {"type": "response.function_call_arguments.delta", **place, "delta": item["arguments"]},
                    {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]},
                ]
            case _:
                content, part = item["content"][0], {**place, "content_index": 0}
                started = {**item, "content": [], "status": "in_progress"}
                empty = {**content, "text": "", "annotations": []}
                events += [
                    {"type": "response.output_item.added", "output_index": index, "item": started},
                    {"type": "response.content_part.added", **part, "part": empty},
                    {"type": "response.output_text.delta", **part, "delta": content["text"]},
                    *(
                        {
                            "type": "response.output_text.annotation.added",
                            **part,
                            "annotation_index": number,
                            "annotation": annotation,
                        }
                        for number, annotation in enumerate(content["annotations"])
                    ),
                    {"type": "response.output_text.done", **part, "text": content["text"]},
                    {"type": "response.content_part.done", **part, "part": content},
                ]
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": "response.completed", "response": response})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer with the second of two answers once the first one's tool has returned something."""
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        answers = {"/chat/completions": CHAT, "/responses": RESPONSES, "/messages": MESSAGES}
        path = self.path.removeprefix("/v1")
        if path not in answers:
            self.send_error(404)
            return
        has_result = any(mark in asked for mark in (b'"tool_call_id"', b'"function_call_output"', b'"tool_result"'))
        answer = answers[path][has_result]
        kind, body = "application/json", json.dumps(answer)
        if json.loads(asked).get("stream"):
            kind = "text/event-stream"
            body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in _events(answer))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def listening() -> Iterator[str]:
    """Listen on a free port of this machine; gives the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
