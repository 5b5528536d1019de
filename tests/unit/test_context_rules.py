"""Each rule by which a history is repaired for a model, and the repairs that others were known to get wrong."""

import pytest

from support.model_input import DIALECTS, Stored, faults, repairs, seen, sent
from threadkeep.conversations.context.parts import INTERRUPTED


def user(text: str = "Go on.") -> Stored:
    return {"role": "user", "content": text}


def calls(*ids: str, text: str = "", **more: object) -> Stored:
    said = [{"type": "text", "text": text}] if text else []
    made = [{"type": "tool_use", "id": id_, "name": "find", "input": {"q": f"for {id_}"}} for id_ in ids]
    return {"role": "assistant", "content": [*said, *made], **more}


def results(*ids: str, text: str = "", content: str = "", is_error: bool | None = None) -> Stored:
    more = [{"type": "text", "text": text}] if text else []
    error = {} if is_error is None else {"is_error": is_error}
    blocks = [{"type": "tool_result", "tool_use_id": id_, "content": content or f"r{id_}", **error} for id_ in ids]
    return {"role": "user", "content": [*blocks, *more]}


def results_of(stored: list[Stored]) -> dict[str, object]:
    """The content of each result that Anthropic is sent, by its call."""
    return {
        block["tool_use_id"]: block.get("content")
        for message in sent(stored, "anthropic")
        for block in message["content"]
        if block["type"] == "tool_result"
    }


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Results are moved behind their calls


def test_a_result_that_came_late_is_moved_behind_its_call(dialect: str) -> None:
    stored = [user(), calls("c1"), user("Stop!"), results("c1")]
    assert repairs(stored, dialect) == [("m4", 0, "result_moved")]
    assert sent(stored, dialect) == sent([user(), calls("c1"), results("c1"), user("Stop!")], dialect)
    assert faults(sent(stored, dialect), dialect) == []


def test_a_result_that_came_before_its_call_is_moved_behind_it(dialect: str) -> None:
    stored = [user(), results("c1"), calls("c1")]
    assert repairs(stored, dialect) == [("m2", 0, "result_moved")]
    assert sent(stored, dialect) == sent([user(), calls("c1"), results("c1")], dialect)


def test_results_of_parallel_calls_stand_in_the_order_of_these_and_that_is_no_repair(dialect: str) -> None:
    in_order = sent([user(), calls("c1", "c2"), results("c1"), results("c2")], dialect)
    stored = [user(), calls("c1", "c2"), results("c2"), results("c1")]
    assert (sent(stored, dialect), repairs(stored, dialect)) == (in_order, [])


def test_calls_in_messages_of_their_own_are_made_beside_each_other(dialect: str) -> None:
    stored = [user(), calls("c1", text="a"), calls("c2"), results("c1"), results("c2")]
    assert repairs(stored, dialect) == []
    assert faults(sent(stored, dialect), dialect) == []
    if dialect == "openai-chat":
        assert [len(each.get("tool_calls", ())) for each in sent(stored, dialect)] == [0, 2, 0, 0]


def test_results_within_an_assistants_message_are_split_from_it(dialect: str) -> None:
    blocks = [*calls("c1")["content"], *results("c1")["content"], {"type": "text", "text": "Found."}]
    stored = [user(), {"role": "assistant", "content": blocks}]
    assert repairs(stored, dialect) == []
    apart = [user(), calls("c1"), results("c1"), {"role": "assistant", "content": "Found."}]
    assert sent(stored, dialect) == sent(apart, dialect)


# Of several results one stays


@pytest.mark.parametrize(
    ("found", "stays", "repeated"),
    [
        ([("old", None), ("new", None)], "new", ["m3"]),
        ([("real", None), ("failed", True)], "real", ["m4"]),
        ([("failed", True), ("real", False)], "real", ["m3"]),
        ([("failed", True), ("failed again", True)], "failed again", ["m3"]),
    ],
)
def test_of_several_results_the_real_one_stays_or_else_the_last(
    found: list[tuple[str, bool | None]], stays: str, repeated: list[str]
) -> None:
    stored = [user(), calls("c1"), *(results("c1", content=content, is_error=error) for content, error in found)]
    assert results_of(stored) == {"c1": stays}
    assert repairs(stored) == [(id_, 0, "result_repeated") for id_ in repeated]


# A call without a result gets one


def test_a_call_without_a_result_gets_one_that_says_so(dialect: str) -> None:
    stored = [user(), calls("c1", "c2"), results("c2"), user()]
    assert repairs(stored, dialect) == [("m2", 0, "result_missing")]
    messages = sent(stored, dialect)
    assert faults(messages, dialect) == []
    assert str(messages).count(INTERRUPTED) == 1
    assert results_of(stored) == {"c1": INTERRUPTED, "c2": "rc2"}
    (result, _, _) = sent(stored, "anthropic")[2]["content"]
    assert result["is_error"] is True


# A result without a call is dropped, and nothing else


def test_a_result_without_a_call_is_dropped_and_the_text_beside_it_stays(dialect: str) -> None:
    stored = [user(), {"role": "assistant", "content": "Hm."}, results("gone", text="By the way")]
    assert repairs(stored, dialect) == [("m3", 0, "call_missing")]
    assert sent(stored, dialect) == sent([*stored[:2], user("By the way")], dialect)


def test_a_message_of_which_nothing_is_left_goes(dialect: str) -> None:
    stored = [user(), {"role": "assistant", "content": "Hm."}, results("gone"), user("So?")]
    assert sent(stored, dialect) == sent([*stored[:2], user("So?")], dialect)


def test_what_stands_alone_is_found_in_the_middle_and_at_the_end(dialect: str) -> None:
    exchange = [user(), calls("c1"), results("c1"), {"role": "assistant", "content": "a"}]
    stored = [*exchange, user(), results("x"), calls("c2"), user(), results("y"), results("z")]
    assert [what for _, _, what in repairs(stored, dialect)] == [
        "call_missing",
        "result_missing",
        "call_missing",
        "call_missing",
    ]
    assert faults(sent(stored, dialect), dialect) == []


# Which call a result is of


def test_a_result_names_the_call_id_of_an_item_and_not_the_id(dialect: str) -> None:
    item = {"type": "function_call", "id": "fc_9", "call_id": "call_1", "name": "find", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "found"}
    stored = [user(), {"role": "assistant", "content": [item]}, {"role": "tool", "content": [output]}]
    assert repairs(stored, dialect) == []
    assert INTERRUPTED not in str(sent(stored, dialect))


@pytest.mark.parametrize("name", ["fc_9", "fc_1", "call_1|fc_9", "toolu_1"])
def test_a_result_may_name_its_call_by_another_id_of_it_or_another_prefix(dialect: str, name: str) -> None:
    item = {"type": "function_call", "id": "fc_9", "call_id": "call_1", "name": "find", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": name, "output": "found"}
    stored = [user(), {"role": "assistant", "content": [item]}, {"role": "tool", "content": [output]}]
    assert repairs(stored, dialect) == []
    assert faults(sent(stored, dialect), dialect) == []
    assert INTERRUPTED not in str(sent(stored, dialect))


def test_an_id_that_is_the_same_comes_before_one_that_differs_in_its_prefix() -> None:
    stored = [user(), calls("call_1", "fc_1"), results("fc_1"), results("call_1")]
    assert results_of(stored) == {"call_1": "rcall_1", "fc_1": "rfc_1"}
    assert repairs(stored) == []


def test_an_id_that_comes_in_every_turn_belongs_to_the_call_before_it(dialect: str) -> None:
    stored = [user(), calls("c"), results("c", content="1"), user(), calls("c"), results("c", content="2")]
    assert repairs(stored, dialect) == ([] if dialect == "openai-chat" else [("m5", 0, "id_repeated")])
    assert results_of(stored) == {"c": "1", "c_2": "2"}
    assert faults(sent(stored, dialect), dialect) == []


def test_an_id_that_comes_twice_in_one_turn_does_not_for_anybody(dialect: str) -> None:
    stored = [user(), calls("c", "c"), results("c"), user()]
    assert repairs(stored, dialect) == [("m2", 0, "result_missing"), ("m2", 1, "id_repeated")]
    assert faults(sent(stored, dialect), dialect) == []


def test_an_id_that_was_made_is_made_only_once() -> None:
    turn = [calls("c"), results("c")]
    stored = [user(), calls("c_2"), results("c_2"), *turn, *turn, *turn]
    assert [*results_of(stored)] == ["c_2", "c", "c_3", "c_4"]


def test_an_id_that_a_provider_does_not_take_is_written_so_that_it_does() -> None:
    long = f"functions.find:0{'x' * 200}"
    stored = [user(), calls(long), results(long)]
    assert repairs(stored) == []
    assert [len(id_) for id_ in results_of(stored)] == [128]
    (call,) = sent(stored, "openai-chat")[1]["tool_calls"]
    assert call["id"] == "functions_find_0" + "x" * 24
    assert sent([user(), calls(""), results("")], "anthropic")[1]["content"][0]["id"] == "call"


# What was cut off while it was written


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_a_call_that_was_cut_off_is_dropped_with_its_results(dialect: str, state: str) -> None:
    cut = {"type": "tool_use", "id": "c2", "name": "find", "input": '{"q": "fo'}
    message = calls("c1", text="Look:", metadata={"stream": {"state": state}})
    message["content"].append(cut)
    stored = [user(), message, results("c1"), results("c2"), user()]
    assert repairs(stored, dialect) == [("m2", 2, "call_unfinished"), ("m4", 0, "call_unfinished")]
    assert sent(stored, dialect) == sent([user(), calls("c1", text="Look:"), results("c1"), user()], dialect)


def test_a_call_that_is_whole_stays_though_its_message_was_interrupted(dialect: str) -> None:
    stored = [user(), calls("c1", metadata={"stream": {"state": "interrupted"}}), results("c1")]
    assert repairs(stored, dialect) == []


def test_a_call_that_was_made_again_keeps_the_result(dialect: str) -> None:
    cut = {"role": "assistant", "metadata": {"stream": {"state": "interrupted"}}}
    cut["content"] = [{"type": "tool_use", "id": "c1", "name": "find", "input": "{"}]
    for stored in ([user(), calls("c1"), cut, results("c1")], [user(), cut, results("c1"), user(), calls("c1")]):
        assert "result_missing" not in str(repairs(stored, dialect))
        assert INTERRUPTED not in str(sent(stored, dialect))
        assert faults(sent(stored, dialect), dialect) == []


def test_an_input_that_is_no_object_stays_a_text_where_it_may_be_one(dialect: str) -> None:
    stored = [user(), calls("c1"), results("c1")]
    stored[1]["content"][0]["input"] = "[1.50, 2"
    assert faults(sent(stored, dialect), dialect) == []
    if dialect == "anthropic":
        assert repairs(stored) == [("m2", 0, "input_wrapped")]
        assert sent(stored, dialect)[1]["content"][0]["input"] == {"input": "[1.50, 2"}
    else:
        assert repairs(stored, dialect) == []
        assert "'[1.50, 2'" in str(sent(stored, dialect))


# What a provider does not take


def test_thoughts_that_nobody_signed_are_left_out(dialect: str) -> None:
    blocks = [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Yes."}]
    stored = [user(), {"role": "assistant", "content": blocks}]
    assert repairs(stored, dialect) == [("m2", 0, "left_out")]
    assert sent(stored, dialect) == sent([user(), {"role": "assistant", "content": "Yes."}], dialect)


def test_thoughts_that_nothing_follows_are_left_out() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": []}
    for block, dialect in ((thought, "anthropic"), (reasoning, "openai-responses")):
        stored = [user(), {"role": "assistant", "content": [block]}, user("So?")]
        assert repairs(stored, dialect) == [("m2", 0, "left_out")]
        assert faults(sent(stored, dialect), dialect) == []


@pytest.mark.parametrize(
    "block", [{"type": "deleted"}, {"type": "source", "url": "x"}, {"type": "of-nobody", "text": "x"}]
)
def test_what_no_provider_knows_is_left_out(dialect: str, block: Stored) -> None:
    stored = [user(), {"role": "assistant", "content": [block, {"type": "text", "text": "Yes."}]}]
    assert repairs(stored, dialect) == [("m2", 0, "left_out")]
    assert sent(stored, dialect) == sent([user(), {"role": "assistant", "content": "Yes."}], dialect)


def test_what_is_for_the_screen_is_no_repair(dialect: str) -> None:
    screen = [{"type": kind} for kind in ("step-start", "source-url", "source-document", "data-weather")]
    stored = [user(), {"role": "assistant", "content": [*screen, {"type": "text", "text": "Yes."}]}]
    assert repairs(stored, dialect) == []


# Messages


@pytest.mark.parametrize("content", [[], " \n", [{"type": "step-start"}]])
def test_an_empty_message_goes(dialect: str, content: object) -> None:
    stored = [user(), {"role": "assistant", "content": content}, user("So?")]
    assert repairs(stored, dialect) == [("m2", None, "empty")]
    assert faults(sent(stored, dialect), dialect) == []
    assert len(sent(stored, dialect)) == (1 if dialect == "anthropic" else 2)


def test_neighbours_of_one_side_are_joined_for_anthropic_alone() -> None:
    stored = [user("a"), user("b"), {"role": "assistant", "content": "c"}, {"role": "assistant", "content": "d"}]
    assert repairs(stored) == []
    assert [[block["text"] for block in each["content"]] for each in sent(stored, "anthropic")] == [
        ["a", "b"],
        ["c", "d"],
    ]
    assert [each["content"] for each in sent(stored, "openai-chat")] == ["a", "b", "c", "d"]
    assert [each["content"] for each in sent(stored, "openai-responses")] == ["a", "b", "c", "d"]


def test_anthropic_is_sent_a_user_first() -> None:
    stored = [{"role": "assistant", "content": "Hello!"}, calls("c1"), results("c1"), user("Hi")]
    assert repairs(stored) == [("m1", None, "before_user"), ("m2", None, "before_user")]
    assert sent(stored, "anthropic") == sent([user("Hi")], "anthropic")
    assert repairs(stored, "openai-chat") == repairs(stored, "openai-responses") == []
    assert sent(stored[:1], "anthropic") == []


def test_what_the_model_is_told_stands_where_the_provider_wants_it() -> None:
    picture = {"type": "image", "url": "https://example.com/a.png"}
    told = {"role": "system", "content": [{"type": "text", "text": "Be brief."}, picture]}
    stored = [told, user(), {"role": "developer", "content": "Be kind."}]
    written = seen(stored, "anthropic")["written"]
    assert [block["text"] for block in written["system"]] == ["Be brief.", "Be kind."]
    assert [each["role"] for each in written["messages"]] == ["user"]
    assert repairs(stored) == [("m1", 1, "left_out")]
    for dialect in ("openai-chat", "openai-responses"):
        written = seen(stored, dialect)["written"]
        assert ([each["role"] for each in written["messages"]], written["system"]) == (
            ["system", "user", "developer"],
            [],
        )
