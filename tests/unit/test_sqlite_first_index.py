"""The first index of SQLite: how a user's words stand in it, and that it loses nothing of them."""

import unicodedata
from string import ascii_lowercase, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadkeep.conversations.search import Term
from threadkeep.storage.sql.marks import mark_of
from threadkeep.storage.sqlite.first_index import indexed_words, match

# Categories, and not a filter over all characters: Hypothesis gives up where too few are left.
LETTERS = st.characters(categories=["Ll", "Lm", "Lo", "Nd", "Nl", "No"]).filter(lambda letter: letter == letter.lower())
WORDS = st.text(LETTERS | st.sampled_from(digits + ascii_lowercase), min_size=1, max_size=9)


def written(word: str, user_id: str = "ada") -> str:
    """A word as it stands in the index, without the letters before it."""
    return indexed_words(user_id, word).removeprefix(mark_of(user_id))


@given(WORDS, WORDS)
def test_two_words_are_one_only_if_they_were_before(one: str, other: str) -> None:
    assert (written(one) == written(other)) == (one == other)


@given(WORDS, WORDS)
def test_a_beginning_stays_a_beginning(one: str, other: str) -> None:
    assert written(one + other).startswith(written(one))
    assert written(one).startswith(written(other)) == one.startswith(other)


@given(st.characters(exclude_categories=["Cs"], min_codepoint=128))
def test_a_letter_beyond_ascii_stays_beyond_it_as_long_as_it_was_and_no_surrogate(letter: str) -> None:
    other = written(letter)
    assert not other.isascii()
    assert len(other.encode()) == len(letter.encode())


def test_letters_of_ascii_are_exchanged_among_themselves() -> None:
    assert sorted(written(digits + ascii_lowercase)) == sorted(digits + ascii_lowercase)


@pytest.mark.parametrize("word", ["goldfinch", "confirmation", "1234567890", "東京都", "ελληνικά", "кириллица"])
def test_a_word_cannot_be_read_in_it(word: str) -> None:
    for user_id in ("ada", "bob", "eve"):
        other = written(word, user_id)
        assert len(other) == len(word)
        assert sum(one == two for one, two in zip(word, other, strict=True)) <= len(word) / 2
        assert unicodedata.normalize("NFKD", other).casefold() != word


def test_each_user_has_their_own_and_it_is_always_the_same() -> None:
    assert written("goldfinch", "ada") != written("goldfinch", "bob")
    assert mark_of("ada") != mark_of("bob")


def test_every_word_stands_behind_the_letters_of_its_user() -> None:
    words = indexed_words("ada", "gold finch gold").split(" ")
    assert [word.startswith(mark_of("ada")) for word in words] == [True] * 3
    assert words[0] == words[2] != words[1]
    assert indexed_words("ada", "") == ""


def test_what_is_written_today_is_found_tomorrow() -> None:
    # The index of every database is written like this: it must not change.
    assert indexed_words("ada", "goldfinch in 東京 é1") == EXPECTED


EXPECTED = "7xxegdkaiadnhc830 7xxegdkac8 7xxegdka\u6480\u4d5d 7xxegdka\x98w"


def test_what_is_asked_of_it_stands_in_quotes_and_what_has_no_words_finds_nothing() -> None:
    terms = [Term(["gold", "finch"], is_prefix=False), Term(["wren"], is_prefix=True)]
    gold, finch, wren = (indexed_words("ada", word) for word in ("gold", "finch", "wren"))
    assert match("ada", terms) == f'"{gold} {finch}" "{wren}"*'
    assert match("ada", []) == '""'
