"""Whatever happened to a history: what a model is sent of it is valid, and what was valid is sent as it is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.model_input import DIALECTS, FORMS, Stored, faults, history_in, repairs, seen, sent, stored_again


@st.composite
def valid(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    """The steps of a valid history: what a user says, and all that an assistant does until they say something more."""
    steps: list[tuple[Any, ...]] = [("system", "Be brief.")] * draw(st.integers(0, 1))
    count = 0
    for question in range(draw(st.integers(1, 4))):
        steps.append(("user", f"q{question}"))
        for turn in range(draw(st.integers(0, 3))):
            ids = [f"call_{count + index}" for index in range(draw(st.integers(1, 3)))]
            count += len(ids)
            steps.append(("calls", f"t{question}.{turn}", ids))
        steps.append(("assistant", f"a{question}"))
    return steps


@st.composite
def broken(draw: st.DrawFn) -> list[Stored]:
    """A valid history of any form that was cut, doubled and shuffled, or was interrupted."""
    stored = history_in(draw(st.sampled_from(FORMS)), draw(valid()))
    places = st.lists(st.integers(0, len(stored) - 1), max_size=len(stored) * 2)
    stored = [dict(stored[place]) for place in draw(places)] or stored
    for index in draw(st.lists(st.integers(0, len(stored) - 1), max_size=2)):
        stored[index]["metadata"] = {"stream": {"state": "interrupted"}}
    return stored


def expected(steps: list[tuple[Any, ...]], dialect: str) -> list[Any]:
    """What is sent of a valid history in the form of its own provider: what is stored."""
    stored = history_in(dialect, steps)
    if dialect == "openai-responses":
        return [item for message in stored for item in message["content"]]
    if dialect == "anthropic":
        return [message for message in stored if message["role"] != "system"]
    return [message if isinstance(message["content"], str) else message["content"][0]["message"] for message in stored]


@pytest.mark.parametrize("dialect", DIALECTS)
@given(steps=valid())
def test_a_valid_history_is_sent_as_it_is(dialect: str, steps: list[tuple[Any, ...]]) -> None:
    stored = history_in(dialect, steps)
    assert repairs(stored, dialect) == []
    assert sent(stored, dialect) == expected(steps, dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("form", FORMS)
@given(steps=valid())
def test_a_valid_history_of_another_form_is_sent_whole(dialect: str, form: str, steps: list[tuple[Any, ...]]) -> None:
    stored = history_in(form, steps)
    found = repairs(stored, dialect)
    thoughts = form == "anthropic" != dialect  # only Anthropic takes those of its own
    assert {what for _, _, what in found} == ({"left_out"} if thoughts and "calls" in str(steps) else set())
    written = seen(stored, dialect)["written"]
    assert faults(written["messages"], dialect) == []
    text = json.dumps(written)
    for kind, said, *calls in steps:
        assert f'"{said}"' in text, kind
        for id_ in calls[0] if calls else ():
            assert text.count(f'"{id_}"') == 2  # the call, and the result
            assert f'"r{id_}"' in text


@pytest.mark.parametrize("dialect", DIALECTS)
@given(stored=broken())
def test_whatever_was_done_to_a_history_what_is_sent_is_valid(dialect: str, stored: list[Stored]) -> None:
    assert faults(sent(stored, dialect), dialect) == []


@pytest.mark.parametrize("dialect", DIALECTS)
@given(stored=broken())
def test_what_was_repaired_needs_no_repair(dialect: str, stored: list[Stored]) -> None:
    once = sent(stored, dialect)
    again = stored_again(once, dialect)
    assert repairs(again, dialect) == []
    assert sent(again, dialect) == once


@pytest.mark.parametrize("dialect", DIALECTS)
@given(stored=broken(), most=st.integers(2, 1_500), is_rest=st.booleans())
def test_what_is_cut_fits_is_valid_and_begins_with_a_user(
    dialect: str, stored: list[Stored], most: int, is_rest: bool
) -> None:
    whole, cut = seen(stored, dialect), seen(stored, dialect, most, is_rest=is_rest)
    if cut is None:
        return
    messages, system = cut["written"]["messages"], cut["written"]["system"]
    compact = [len(json.dumps(each, separators=(",", ":"), ensure_ascii=False)) for each in (messages, system)]
    assert sum(compact) <= most
    assert faults(messages, dialect) == []
    if not cut["is_cut"]:
        assert cut == whole
    spoken = [each for each in messages if each.get("role") not in ("system", "developer")]
    assert not (cut["is_cut"] and spoken) or spoken[0]["role"] == "user"
