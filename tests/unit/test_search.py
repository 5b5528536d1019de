"""Searching: what a query asks for, what of a message is searched, and the piece of text that is shown."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.records import conversation, new_message, plain
from threadkeep.conversations.models import Conversation, SnippetPart
from threadkeep.conversations.search import (
    TERMS_MAX,
    TEXT_CHARACTERS_MAX,
    WORDS_OF_QUERY_MAX,
    Found,
    Term,
    hits,
    indexed_size,
    parse_query,
    snippet,
    starts_at,
    text_of,
)
from threadkeep.errors import Invalid
from threadkeep.storage.memory.store import MemoryDatabase, MemoryStore
from threadkeep.storage.sql.marks import mark_of
from threadkeep.storage.sqlite.dialect import SqliteDialect
from threadkeep.tokenizer import tokens
from threadkeep.work import finished


def term(words: str) -> Term:
    """A term as the tests write it: a star at the end makes a prefix of it."""
    return Term(words.rstrip("*").split(), is_prefix=words.endswith("*"))


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("flight", ["flight*"]),
        ("Flight TO", ["flight", "to*"]),
        (" flight ", ["flight*"]),
        ('"flight to"', ["flight to"]),
        ('"flight" to', ["flight", "to*"]),
        ('to "flight"', ["to", "flight"]),
        ('to "flight" ', ["to", "flight"]),
        ('"flight" ...', ["flight"]),
        ('"flight to', ["flight to"]),
        ('a "flight to', ["a", "flight to"]),
        ('to "', ["to*"]),
        ('to ""', ["to*"]),
        ('""to', ["to*"]),
        ('a"b c"d', ["a", "b c", "d*"]),
        ("HAT136-ZX", ["hat136 zx*"]),
        ("snake_case now", ["snake case", "now*"]),
        ("字テ", ["字 テ*"]),
        ("... word ...", ["word*"]),
        ("flight* AND (NOT ^text:x)", ["flight", "and", "not", "text x*"]),
        ("a\tb\nc", ["a", "b", "c*"]),
    ],
)
def test_a_query_is_words_and_phrases(query: str, terms: list[str]) -> None:
    assert parse_query(query) == [term(words) for words in terms]


@pytest.mark.parametrize("query", ["", "   ", "\t\n", "\u3000"])
def test_a_blank_query_is_invalid(query: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_query(query)
    assert caught.value.path == "q"
    assert "no word" in caught.value.message


@pytest.mark.parametrize("query", ['"', '""', '" "', "...", "😀", "👍🏽 👨\u200d👩", "\u0000", "\u0301", "\u00ad"])
def test_a_query_of_signs_alone_asks_for_nothing(query: str) -> None:
    assert parse_query(query) == []


@pytest.mark.parametrize("words", ["a ", "漢字 ", "a-b ", '"a b c" '])
def test_a_query_may_have_32_words_and_phrases(words: str) -> None:
    assert len(parse_query(words * TERMS_MAX)) == TERMS_MAX == 32
    with pytest.raises(Invalid, match="may have 32 words and phrases") as caught:
        parse_query(words * (TERMS_MAX + 1))
    assert caught.value.path == "q"


@pytest.mark.parametrize("words", ["漢", "a-"])
def test_a_phrase_may_be_long_but_not_without_end(words: str) -> None:
    count = WORDS_OF_QUERY_MAX // len(tokens(words))
    (term,) = parse_query(words * count)
    assert len(term.tokens) == WORDS_OF_QUERY_MAX
    with pytest.raises(Invalid, match="may have 512 words in all") as caught:
        parse_query(words * (count + 1))
    assert caught.value.path == "q"


@given(st.text(st.sampled_from("ab漢é\"'*-(): \u0000") | st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_is_a_query_of_its_words_or_invalid(text: str) -> None:
    try:
        terms = parse_query(text)
    except Invalid as error:
        assert error.path == "q"  # noqa: PT017
    else:
        assert all(term.tokens for term in terms)
        assert terms or not tokens(text)
        assert not any(term.is_prefix for term in terms[:-1])
        assert [word for term in terms for word in term.tokens] == tokens(text)


def test_a_term_is_found_where_its_words_stand_next_to_each_other() -> None:
    words = ["a", "flight", "to", "town"]
    for text, places in {
        "flight": [1],
        "fl": [],
        "fl*": [1],
        "t*": [2, 3],
        "flight to": [1],
        "flight t*": [1],
        "flight town": [],
        "to town too": [],
        "town x*": [],
    }.items():
        assert [index for index in range(len(words)) if starts_at(words, index, term(text))] == places, text


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        ([{"type": "text", "text": "One"}, {"type": "text", "text": "two"}], "One\ntwo"),
        ([{"type": "thinking", "thinking": "Hm"}, {"type": "other", "text": "so", "id": "no"}], "Hm\nso"),
        ([{"type": "image", "source": {"text": "no"}}, {"type": "file", "name": "no"}], ""),
        (
            [
                {
                    "type": "tool_use",
                    "id": "no",
                    "name": "no",
                    "input": {"no": "yes", "n": 1, "b": [{"c": "deep"}, None]},
                }
            ],
            "yes\ndeep",
        ),
        ([{"type": "tool_result", "toolUseId": "no", "content": "yes"}], "yes"),
        (
            [
                {
                    "type": "tool_result",
                    "toolUseId": "no",
                    "content": [
                        {"type": "text", "text": "yes", "id": "no"},
                        {"type": "image", "source": {"data": "no"}},
                        {"type": "file", "name": "no"},
                        {"type": "row", "name": "Ada"},
                        {"text": "free", "id": "form"},
                        ["and", ["so on"], 3, True, None],
                    ],
                }
            ],
            "yes\nrow\nAda\nfree\nform\nand\nso on",
        ),
        ([{"type": "tool_result", "toolUseId": "no", "content": None}], ""),
        ([{"type": "tool_result", "toolUseId": "no", "content": {"type": "text", "text": 1}}], "text"),
    ],
)
def test_what_is_searched_is_what_people_see(blocks: list[dict[str, Any]], text: str) -> None:
    assert text_of(blocks) == text


def test_only_the_first_characters_are_searched() -> None:
    assert text_of([{"type": "text", "text": "x" * 20_000}]) == "x" * TEXT_CHARACTERS_MAX
    many = [{"type": "text", "text": "y" * 9_999}] * 3
    assert text_of(many) == f"{'y' * 9_999}\n{'y' * 6_000}"
    assert len(text_of([{"type": "text", "text": "z" * 15_999}, {"type": "text", "text": "no"}])) == TEXT_CHARACTERS_MAX


def shown(text: str, query: str) -> str:
    """A snippet with what matches in brackets."""
    parts = snippet(text, parse_query(query))
    assert len("".join(part.text for part in parts)) <= 200
    assert "".join(part.text for part in parts) in text
    assert all(part.text for part in parts)
    return "".join(f"[{part.text}]" if part.match else part.text for part in parts)


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        ("A flight to Seattle", "fli", "A [flight] to Seattle"),
        ("A flight to Seattle", '"a flight" sea', "[A flight] to [Seattle]"),
        ("flight", "flight", "[flight]"),
        ("Café, <b>CAFÉ</b>", "cafe", "[Café], <b>[CAFÉ]</b>"),
        ("日本語の漢字", "本語", "日[本語]の漢字"),
        ("aa aa aa", '"aa aa"', "[aa aa aa]"),
        ("a b c", '"a b" "b c"', "[a b c]"),
        ("nothing of it", "else", "nothing of it"),
        ("", "else", ""),
        ("line\nbreak", "break", "line\n[break]"),
        ("ﬁne", "fine", "[ﬁne]"),
    ],
)
def test_a_snippet_marks_what_matches(text: str, query: str, expected: str) -> None:
    assert shown(text, query) == expected


def test_a_snippet_marks_nothing_beyond_its_end() -> None:
    assert shown("flight " + "and " * 100 + "train", "flight train").startswith("[flight] and")


def test_a_snippet_begins_a_little_before_the_first_match_at_a_word() -> None:
    found = shown("before " * 50 + "flight " + "after " * 50, "flight")
    assert found.startswith("before before")
    before, _, after = found.partition("[flight]")
    assert 60 <= len(before) <= 120
    assert after.startswith(" after after")
    assert len(found) == 202


def test_a_snippet_of_a_match_at_an_end_stays_within_the_text() -> None:
    assert shown("flight " + "after " * 50, "flight").startswith("[flight] after")
    assert shown("before " * 50 + "flight", "flight").endswith("before [flight]")


def test_a_snippet_of_a_long_text_without_spaces_holds_the_match() -> None:
    found = shown("漢" * 1_000 + "字" + "漢" * 1_000, "字")
    assert "[字]" in found
    assert len(found) == 202
    assert shown("x" * 1_000, "x").startswith("[xx")
    assert "[flight]" in shown("-" * 1_000 + "flight" + "-" * 1_000, "flight")


def test_a_snippet_without_a_match_is_the_beginning() -> None:
    assert shown("word " * 100, "else") == ("word " * 100)[:200]


WORDS = st.lists(st.sampled_from(["flight", "Café", "漢字", "to", "<b>", "ﬁ", "-", "\n", "x" * 90, "😀"]), max_size=40)


@given(
    WORDS, st.sampled_from([" ", "", ", "]), st.sampled_from(["fli", '"to cafe"', "字", "to fi", "x", '"漢字 to" b'])
)
def test_the_parts_of_a_snippet_are_a_piece_of_the_text_and_those_that_match_are_found(
    words: list[str], between: str, query: str
) -> None:
    text = between.join(words)
    terms = parse_query(query)
    parts = snippet(text, terms)
    whole = "".join(part.text for part in parts)
    assert whole in text
    assert len(whole) <= 200
    assert whole or not text
    found = tokens(text)
    has_match = any(starts_at(found, index, term) for index in range(len(found)) for term in terms)
    assert any(part.match for part in parts) == has_match
    for part in parts:
        if part.match and not whole.endswith(part.text):  # the last may be cut
            assert any(starts_at(tokens(part.text), 0, term) for term in terms)


@pytest.mark.anyio
async def test_a_hit_shows_the_message_or_without_one_the_title() -> None:
    store = MemoryStore(MemoryDatabase(), "ada")
    record = conversation(new_message("a flight"), title="To Seattle")
    kept, _ = await store.create_conversation(record)
    (message,) = (await store.list_messages(record.id)).messages
    assert isinstance(kept, Conversation)
    (of_message,) = finished(hits([Found(kept, message, is_active=True, next_seq=None)], parse_query("flight")))
    assert of_message.message is message
    assert of_message.snippet == [SnippetPart("a ", match=False), SnippetPart("flight", match=True)]
    (of_title,) = finished(hits([Found(kept, None, is_active=True, next_seq=None)], parse_query("seattle")))
    assert plain(of_title)["message"] is None
    assert of_title.snippet == [SnippetPart("To ", match=False), SnippetPart("Seattle", match=True)]


@pytest.mark.anyio
async def test_a_snippet_has_no_numbers_however_they_are_written() -> None:
    store = MemoryStore(MemoryDatabase(), "ada")
    numbers: dict[str, Any] = {"price": 860.44, "count": 12, "places": [1.5, "to Seattle", 2.25]}
    blocks = [{"type": "tool_use", "id": "t", "name": "book", "input": {"what": "A flight", **numbers}}]
    kept, _ = await store.create_conversation(conversation(new_message(content=blocks)))
    (message,) = (await store.list_messages(kept.id)).messages
    (found,) = finished(hits([Found(kept, message, is_active=True, next_seq=None)], parse_query("flight")))
    parts = found.snippet
    assert "".join(part.text for part in parts) == "A flight\nto Seattle"


@pytest.mark.parametrize("words", ["", "a", "gold finch", "東 京 é1"])
def test_how_much_is_indexed_is_what_stands_in_the_index(words: str) -> None:
    assert indexed_size(words) == len(SqliteDialect().indexed_words(mark_of("ada"), words))
