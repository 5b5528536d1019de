"""What a model is sent of the blocks of each SDK."""

import json
from typing import Any

import pytest

from support.model_input import DIALECTS, Stored, faults, repairs, seen, sent, stored_again
from tools.checkout import ROOT

USER = {"role": "user", "content": "Go on."}
KEPT = sorted((ROOT / "tests/data/sdks").glob("*.json"))
URL, DATA = "https://example.com/a", "iVBORw0KGgo="


def said(role: str, *blocks: Any) -> list[Stored]:
    """A history of a question and a message of blocks."""
    return [USER, {"role": role, "content": [*blocks]}]


def written(role: str, dialect: str, *blocks: Any) -> list[Any]:
    """What is written of the last message of such a history; of Anthropic's and of chat completions, its content."""
    messages = sent(said(role, *blocks), dialect)
    if dialect == "openai-responses":
        return messages[1:]
    content = messages[-1]["content"]
    blocks_written = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return blocks_written[1:] if dialect == "anthropic" and role == "user" else blocks_written


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_the_sdks_make_is_sent_to_every_provider(path: Any, dialect: str) -> None:
    stored = json.loads(path.read_text())
    value = seen(stored, dialect)
    messages = value["written"]["messages"]
    assert faults(messages, dialect) == []
    assert {repair["what"] for repair in value["repairs"]} <= {"left_out", "id_repeated"}
    text = json.dumps(value["written"], ensure_ascii=False)
    for words in ("How is the weather in Nürnberg?", "get_weather", "overcast", "Drizzle in Nuremberg"):
        assert words in text
    assert sent(stored_again(messages, dialect), dialect) == messages


# Tools


@pytest.mark.parametrize(
    ("part", "result"),
    [
        ({"state": "output-available", "output": "found"}, {"content": "found"}),
        ({"state": "output-available", "output": {"n": 1.50}}, {"content": '{"n":1.5}'}),
        ({"state": "output-available", "output": [1, "a"]}, {"content": '[1,"a"]'}),
        ({"state": "output-available", "output": []}, {}),
        ({"state": "output-error", "errorText": "jammed"}, {"content": "jammed", "is_error": True}),
        (
            {"state": "output-denied", "approval": {"id": "a", "approved": False, "reason": "Too dear."}},
            {"content": "The user did not allow this call. Too dear.", "is_error": True},
        ),
        ({"state": "output-denied"}, {"content": "The user did not allow this call.", "is_error": True}),
    ],
)
def test_the_tools_of_the_ai_sdk_bring_their_results(part: Stored, result: Stored) -> None:
    stored = said("assistant", {"type": "tool-find", "toolCallId": "c1", "input": {"q": 1}, **part})
    assert repairs(stored) == []
    _, call, answer = sent(stored, "anthropic")
    assert call["content"] == [{"type": "tool_use", "id": "c1", "name": "find", "input": {"q": 1}}]
    assert answer["content"] == [{"type": "tool_result", "tool_use_id": "c1", **result}]


def test_a_tool_of_the_ai_sdk_without_a_result_is_answered_or_goes() -> None:
    part = {"type": "dynamic-tool", "toolName": "find", "toolCallId": "c1", "input": {"q": 1}}
    for state in ("input-available", "approval-requested", "approval-responded"):
        assert repairs(said("assistant", {**part, "state": state})) == [("m2", 0, "result_missing")]
    streaming = said("assistant", {**part, "state": "input-streaming"})
    assert repairs(streaming) == [("m2", 0, "call_unfinished")]
    assert len(sent(streaming, "anthropic")) == 1
    wrong = {**part, "input": None, "rawInput": "{bad", "state": "output-error", "errorText": "invalid"}
    assert repairs(said("assistant", wrong)) == [("m2", 0, "input_wrapped")]


def test_steps_of_an_ai_sdk_message_are_turns_of_their_own_and_parallel_calls_are_one() -> None:
    tools = [
        {"type": "tool-find", "toolCallId": id_, "state": "output-available", "input": {}, "output": "x"}
        for id_ in ("c1", "c2", "c3")
    ]
    stored = said("assistant", {"type": "step-start"}, *tools[:2], {"type": "step-start"}, tools[2])
    kinds = [[block["type"] for block in each["content"]] for each in sent(stored, "anthropic")[1:]]
    assert kinds == [["tool_use"] * 2, ["tool_result"] * 2, ["tool_use"], ["tool_result"]]


def test_the_tools_of_librechat_bring_their_results() -> None:
    call = {"id": "c1", "name": "find", "args": '{"q": 1}', "output": "found"}
    blocks = [
        {"type": "think", "think": "Hm."},
        {"type": "text", "text": {"value": "Look:"}},
        {"type": "tool_call", "tool_call": call},
        {"type": "text", "text": "Found."},
    ]
    stored = said("assistant", *blocks)
    assert repairs(stored) == [("m2", 0, "left_out")]
    kinds = [[block["type"] for block in each["content"]] for each in sent(stored, "anthropic")[1:]]
    assert kinds == [["text", "tool_use"], ["tool_result"], ["text"]]
    del call["output"]
    assert repairs(said("assistant", *blocks))[1:] == [("m2", 2, "result_missing")]


def test_custom_tools_of_openai_take_text() -> None:
    item = {"type": "custom_tool_call", "call_id": "c1", "id": "ctc_1", "name": "sql", "input": "SELECT 1"}
    output = {"type": "custom_tool_call_output", "call_id": "c1", "output": "1"}
    stored = [*said("assistant", item), {"role": "tool", "content": [output]}]
    assert repairs(stored, "openai-responses") == repairs(stored, "openai-chat") == []
    assert sent(stored, "openai-responses")[1:] == [item, output]
    (call,) = sent(stored, "openai-chat")[1]["tool_calls"]
    assert call == {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    again = stored_again(sent(stored, "openai-chat"), "openai-chat")
    assert sent(again, "openai-responses")[1] == {key: value for key, value in item.items() if key != "id"}
    assert repairs(stored) == [("m2", 0, "input_wrapped")]
    item["status"] = "incomplete"
    assert repairs(stored, "openai-responses") == [("m2", 0, "call_unfinished"), ("m3", 0, "call_unfinished")]


def test_a_function_call_that_was_cut_off_says_so_itself() -> None:
    item = {"type": "function_call", "call_id": "c1", "id": "fc_1", "name": "find", "arguments": '{"q":'}
    assert repairs(said("assistant", {**item, "status": "incomplete"}))[0] == ("m2", 0, "call_unfinished")
    assert ("m2", 0, "input_wrapped") in repairs(said("assistant", {**item, "status": "completed"}))


def test_a_call_without_an_input_has_an_empty_one() -> None:
    for value in (None, "", " "):
        stored = said("assistant", {"type": "tool_use", "id": "c1", "name": "now", "input": value})
        assert sent(stored, "anthropic")[1]["content"][0]["input"] == {}
        assert sent(stored, "openai-chat")[1]["tool_calls"][0]["function"]["arguments"] in ("{}", " ")


def test_a_name_that_a_provider_does_not_take_is_written_so_that_it_does() -> None:
    stored = said("assistant", {"type": "tool_use", "id": "c1", "name": "mcp.find it", "input": {}})
    assert sent(stored, "anthropic")[1]["content"][0]["name"] == "mcp_find_it"
    stored[1]["content"][0]["name"] = ""
    assert sent(stored, "openai-chat")[1]["tool_calls"][0]["function"]["name"] == "tool"


def test_numbers_keep_their_digits() -> None:
    text = b'{"n": 1.500, "big": 123456789012345678901234567890}'
    stored = said("assistant", {"type": "tool_use", "id": "c1", "name": "add", "input": text.decode()})
    assert sent(stored, "openai-chat")[1]["tool_calls"][0]["function"]["arguments"] == text.decode()


def test_json_that_is_nested_too_deep_is_no_object() -> None:
    stored = said("assistant", {"type": "tool_use", "id": "c1", "name": "add", "input": '{"a":' * 5_000 + "1"})
    assert ("m2", 0, "input_wrapped") in repairs(stored)


# Tools that a provider runs itself


def test_what_anthropic_runs_itself_goes_back_to_it_in_pairs_alone() -> None:
    use = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}
    text = {"type": "text", "text": "Found."}
    stored = said("assistant", use, result, text)
    assert (repairs(stored), sent(stored, "anthropic")[1]["content"]) == ([], [use, result, text])
    for dialect in ("openai-chat", "openai-responses"):
        assert repairs(stored, dialect) == [("m2", 0, "left_out"), ("m2", 1, "left_out")]
    assert repairs(said("assistant", use, text)) == [("m2", 0, "result_missing")]
    assert repairs(said("assistant", result, text)) == [("m2", 0, "call_missing")]
    assert repairs(said("assistant", use, use, result)) == [("m2", 0, "result_missing")]
    assert repairs([*said("assistant", use), {"role": "assistant", "content": [result, text]}]) == [
        ("m2", 0, "result_missing"),
        ("m3", 0, "call_missing"),
    ]
    assert repairs(said("user", use, result, text)) == [("m2", 0, "left_out"), ("m2", 1, "left_out")]


def test_what_openai_runs_itself_goes_back_to_it() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    stored = said("assistant", search, {"type": "output_text", "text": "Found."})
    assert sent(stored, "openai-responses")[1:] == [search, {"role": "assistant", "content": "Found."}]
    assert repairs(stored) == [("m2", 0, "left_out")]
    call = {"type": "computer_call", "id": "cu_1", "call_id": "c1", "action": {"type": "wait"}}
    output = {"type": "computer_call_output", "call_id": "c1", "output": {"type": "computer_screenshot"}}
    pair = [*said("assistant", call), {"role": "tool", "content": [output]}]
    assert (sent(pair, "openai-responses")[1:], repairs(pair, "openai-responses")) == ([call, output], [])
    assert repairs(pair[:2], "openai-responses") == [("m2", 0, "result_missing")]
    assert repairs([USER, pair[2]], "openai-responses") == [("m2", 0, "call_missing")]


def test_an_item_comes_once() -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": []}
    part = {"type": "output_text", "text": "Yes.", "annotations": []}
    answer = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    call = {"type": "function_call", "call_id": "c1", "id": "fc_1", "name": "find", "arguments": "{}"}
    output = {"type": "function_call_output", "id": "fco_1", "call_id": "c1", "output": "x"}
    once = [{"role": "assistant", "content": [reasoning, answer, call]}, {"role": "tool", "content": [output]}]
    stored = [USER, *once, *once]
    items = sent(stored, "openai-responses")
    assert faults(items, "openai-responses") == []
    assert items[5] == {"role": "assistant", "content": "Yes."}
    assert repairs(stored, "openai-responses") == [
        ("m4", 0, "id_repeated"),
        ("m4", 0, "left_out"),
        ("m4", 1, "id_repeated"),
        ("m4", 2, "id_repeated"),
    ]


# Thoughts


@pytest.mark.parametrize(
    ("block", "thought"),
    [
        (
            {"type": "reasoning", "text": "Hm.", "providerMetadata": {"anthropic": {"signature": "s"}}},
            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        ),
        (
            {"type": "reasoning", "text": "", "providerMetadata": {"anthropic": {"redactedData": "d"}}},
            {"type": "redacted_thinking", "data": "d"},
        ),
        (
            {"type": "reasoning", "reasoning": "Hm.", "extras": {"signature": "s"}},
            {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        ),
        ({"type": "redacted_thinking", "data": "d"}, {"type": "redacted_thinking", "data": "d"}),
    ],
)
def test_thoughts_that_anthropic_signed_go_back_to_it(block: Stored, thought: Stored) -> None:
    text = {"type": "text", "text": "Yes."}
    assert written("assistant", "anthropic", block, text) == [thought, text]
    assert written("assistant", "openai-chat", block, text) == [text]


def test_thoughts_that_openai_encrypted_go_back_to_it() -> None:
    metadata = {"openai": {"itemId": "rs_1", "reasoningEncryptedContent": "e"}}
    block = {"type": "reasoning", "text": "Hm.", "providerMetadata": metadata}
    (item, _) = written("assistant", "openai-responses", block, {"type": "text", "text": "Yes."})
    summary = [{"type": "summary_text", "text": "Hm."}]
    assert item == {"type": "reasoning", "summary": summary, "encrypted_content": "e", "id": "rs_1"}
    (item, _) = written("assistant", "openai-responses", {**block, "text": ""}, {"type": "text", "text": "Yes."})
    assert item["summary"] == []


@pytest.mark.parametrize(
    "block", [{"type": "reasoning", "text": "Hm."}, {"type": "reasoning", "reasoning": "Hm."}, {"type": "reasoning"}]
)
def test_thoughts_of_nobody_are_left_out(block: Stored) -> None:
    for dialect in DIALECTS:
        assert repairs(said("assistant", block, {"type": "text", "text": "Yes."}), dialect) == [("m2", 0, "left_out")]


# Texts


def test_a_text_is_a_text_in_the_words_of_everybody() -> None:
    citations = [{"type": "char_location", "cited_text": "x"}]
    for block in (
        {"type": "text", "text": "Yes.", "state": "done", "providerMetadata": {}},
        {"type": "text", "text": "Yes.", "citations": citations},
        {"type": "output_text", "text": "Yes."},
        {"type": "chat", "message": {"role": "assistant", "content": "Yes."}},
        {"type": "chat", "message": {"role": "assistant", "content": None, "audio": {"id": "a", "transcript": "Yes."}}},
        {"type": "ai", "content": "Yes."},
        {"type": "chat", "role": "critic", "content": "Yes."},
        {"lc": 1, "type": "constructor", "id": ["langchain", "AIMessage"], "kwargs": {"content": "Yes."}},
    ):
        assert written("assistant", "openai-chat", block) == [{"type": "text", "text": "Yes."}]
        assert written("assistant", "openai-responses", block) == [{"role": "assistant", "content": "Yes."}]
        more = {"citations": citations} if "citations" in block else {}
        assert written("assistant", "anthropic", block) == [{"type": "text", "text": "Yes.", **more}]


def test_a_refusal_is_one_to_openai_and_a_text_to_others() -> None:
    refusal = {"type": "refusal", "refusal": "No."}
    for block in (refusal, {"type": "chat", "message": {"role": "assistant", "content": None, "refusal": "No."}}):
        assert written("assistant", "openai-chat", block) == [refusal]
        assert written("assistant", "anthropic", block) == [{"type": "text", "text": "No."}]
    assert written("user", "openai-chat", refusal) == [{"type": "text", "text": "No."}]


def test_a_speaker_keeps_the_name_and_a_block_its_role() -> None:
    block = {"type": "chat", "message": {"role": "user", "name": "ada", "content": "Hi"}}
    message = sent([{"role": "assistant", "content": [block]}], "openai-chat")[0]
    assert message == {"role": "user", "name": "ada", "content": "Hi"}
    strange = {"type": "chat", "message": {"role": "critic", "content": "Hi"}}
    assert sent([{"role": "user", "content": [strange]}], "openai-chat") == [{"role": "user", "content": "Hi"}]


def test_what_is_not_of_its_type_is_nothing() -> None:
    blocks = [
        {"type": "chat", "message": "x"},
        {"type": "chat", "message": {"role": "assistant", "content": 1, "tool_calls": [1]}},
        {"type": "message", "role": "assistant", "content": None},
        {"type": "message", "role": 1, "content": "Yes."},
        {"type": "reasoning", "text": "x", "providerMetadata": "x"},
        {"type": "message", "role": "assistant", "content": [1, {"text": "x"}]},
        {"type": "constructor", "id": 1, "kwargs": {"content": "Kept."}},
    ]
    for dialect in DIALECTS:
        assert faults(sent(said("assistant", *blocks), dialect), dialect) == []
        assert "Kept." in str(sent(said("assistant", *blocks), dialect))


def test_calls_that_langchain_has_in_the_content_as_well_come_once() -> None:
    use = {"type": "tool_use", "id": "c1", "name": "find", "input": {"q": 1}}
    call = {"name": "find", "args": {"q": 1}, "id": "c1", "type": "tool_call"}
    wrong = {"name": "find", "args": "{bad", "id": "c2", "type": "invalid_tool_call"}
    data = {"content": [use], "tool_calls": [call], "invalid_tool_calls": [wrong], "type": "ai"}
    outputs = [
        {"type": "tool", "data": {"content": "x", "tool_call_id": id_, "status": "error"}} for id_ in ("c1", "c2")
    ]
    stored = [*said("assistant", {"type": "ai", "data": data}), {"role": "tool", "content": outputs}]
    calls = sent(stored, "openai-chat")[1]["tool_calls"]
    assert [(each["id"], each["function"]["arguments"]) for each in calls] == [("c1", '{"q":1}'), ("c2", "{bad")]
    assert repairs(stored, "openai-chat") == []
    assert sent(stored, "anthropic")[2]["content"][0]["is_error"] is True
    content = {"type": "tool_call", "id": "c3", "name": "find", "args": {}}
    assert repairs(said("assistant", content)) == [("m2", 0, "result_missing")]


# Images, files and recordings


IMAGE = {
    "anthropic": {"type": "image", "source": {"type": "url", "url": URL}},
    "openai-chat": {"type": "image_url", "image_url": {"url": URL}},
    "openai-responses": {"type": "input_image", "image_url": URL, "detail": "auto"},
}
BYTES = {
    "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
    "openai-chat": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}},
    "openai-responses": {"type": "input_image", "image_url": f"data:image/png;base64,{DATA}", "detail": "auto"},
}
PDF = {
    "anthropic": {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": DATA}},
    "openai-chat": {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{DATA}"}},
    "openai-responses": {
        "type": "input_file",
        "filename": "a.pdf",
        "file_data": f"data:application/pdf;base64,{DATA}",
    },
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("block", "as_"),
    [
        *((block, IMAGE) for block in IMAGE.values()),
        *((block, BYTES) for block in BYTES.values()),
        *((block, PDF) for name, block in PDF.items() if name != "anthropic"),
        ({"type": "image", "url": URL}, IMAGE),
        ({"type": "image_url", "image_url": URL}, IMAGE),
        ({"type": "image", "base64": DATA, "mime_type": "image/png"}, BYTES),
        ({"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{DATA}"}, BYTES),
        (
            {
                "type": "file",
                "mediaType": "application/pdf",
                "filename": "a.pdf",
                "url": PDF["openai-chat"]["file"]["file_data"],
            },
            PDF,
        ),
        ({"type": "file", "source": {"media_type": "application/pdf", "name": "a.pdf", "data": DATA}}, PDF),
    ],
)
def test_images_and_files_are_sent_in_the_form_of_the_provider(
    block: Stored, as_: dict[str, Stored], dialect: str
) -> None:
    wanted = as_[dialect]
    found = written("user", dialect, block)
    if dialect == "openai-responses":
        assert found in ([wanted], [{"role": "user", "content": [wanted]}])
    else:
        assert found == [wanted]
    assert repairs(said("user", block), dialect) == []


def test_recordings_are_sent_to_whom_takes_them() -> None:
    native = {"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}}
    for block in (native, {"type": "audio", "base64": DATA, "mime_type": "audio/mp3"}):
        assert written("user", "openai-chat", block) == [native]
        assert repairs(said("user", block)) == [("m2", 0, "left_out")]
        assert repairs(said("user", block), "openai-responses") == [("m2", 0, "left_out")]
    assert repairs(said("user", {"type": "audio", "url": URL}), "openai-chat") == [("m2", 0, "left_out")]


def test_documents_of_text_are_texts_elsewhere() -> None:
    block = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Once."}}
    assert written("user", "anthropic", block) == [block]
    assert written("user", "openai-chat", block) == [{"type": "text", "text": "Once."}]


def test_what_a_provider_cannot_find_or_take_is_left_out() -> None:
    for block, dialects in (
        ({"type": "image", "source": {"type": "file", "file_id": "f1"}}, ["anthropic"]),
        ({"type": "file", "file": {"file_id": "f1"}}, ["openai-chat"]),
        ({"type": "input_file", "file_id": "f1"}, ["openai-responses"]),
        ({"type": "file", "url": URL, "mediaType": "text/csv"}, ["openai-responses"]),
        ({"type": "file", "name": "nothing"}, []),
        ({"type": "document"}, ["anthropic"]),
    ):
        for dialect in DIALECTS:
            assert (repairs(said("user", block), dialect) == []) == (dialect in dialects), (block, dialect)
    for kind in ("search_result", "container_upload"):
        assert repairs(said("user", {"type": kind, "title": "x"})) == []
        assert repairs(said("assistant", {"type": kind, "title": "x"})) == [("m2", 0, "left_out")]
    for dialect in DIALECTS:
        picture = said("assistant", {"type": "image", "url": URL}, {"type": "text", "text": "Look!"})
        assert repairs(picture, dialect) == [("m2", 0, "left_out")]


def test_a_result_may_hold_texts_and_images() -> None:
    content = [{"type": "text", "text": "Look:"}, BYTES["anthropic"]]
    result = {"type": "tool_result", "toolUseId": "c1", "content": content, "isError": False}
    stored = said("assistant", {"type": "tool_use", "id": "c1", "name": "draw", "input": {}})
    stored.append({"role": "tool", "content": [result]})
    (block,) = sent(stored, "anthropic")[2]["content"]
    assert (block["content"], block["is_error"]) == (content, False)
    assert sent(stored, "openai-responses")[2]["output"] == [
        {"type": "input_text", "text": "Look:"},
        BYTES["openai-responses"],
    ]
    assert sent(stored, "openai-chat")[2]["content"] == "Look:"
    assert repairs(stored, "openai-chat") == [("m3", 0, "left_out")]
    result["content"] = [{"type": "row", "n": 1}]
    assert sent(stored, "openai-chat")[2]["content"] == '[{"type":"row","n":1}]'
    result["content"] = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    assert [part["text"] for part in sent(stored, "openai-chat")[2]["content"]] == ["a", "b"]
    item = {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_image", "image_url": URL}]}
    stored[2]["content"] = [item]
    assert sent(stored, "openai-responses")[2]["output"] == item["output"]
