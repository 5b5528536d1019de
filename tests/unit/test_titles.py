"""Titles that first messages give: short, on one line, and such that people see what they are."""

import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from threadkeep.conversations.models import Title
from threadkeep.conversations.titles import title_from


def text(*texts: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text} for text in texts]


TITLES: dict[str, tuple[list[dict[str, Any]], str | None]] = {
    "one line": (text("Hello"), "Hello"),
    "white space around": (text("  Hello\n"), "Hello"),
    "several lines": (text("Hello,\r\n\r\n\tworld \u2028 and\u00a0\u3000all"), "Hello, world and all"),
    "control characters": (text("a\x00b\x1bc\x7fd\x85e\x9ff"), "a b c d e f"),
    "60 characters": (text("x" * 60), "x" * 60),
    "60 characters after a space": (text(" " + "x" * 60), "x" * 60),
    "61 characters": (text("x" * 61), "x" * 57 + "..."),
    "61 characters that are not ASCII": (text("\U0001f600" * 61), "\U0001f600" * 57 + "..."),
    "61 characters, of which one is white space": (text("x" * 56 + "\n\n" + "yyy"), "x" * 56 + " yyy"),
    "a word without end": (text("x" * 1_400_000), "x" * 57 + "..."),
    "no text": ([{"type": "image"}], None),
    "an empty text": (text(""), None),
    "a blank text": (text(" \n\t\x00\u2028"), None),
    "a blank text before another": (text(" ", "Hello"), "Hello"),
    "two texts": (text("one", "two"), "one"),
    "a text after an image": ([{"type": "image"}, *text("Hello")], "Hello"),
    "the text of another type": ([{"type": "x", "text": "Hello"}, {"type": "thinking", "thinking": "hm"}], None),
    "a tool's result": ([{"type": "tool_result", "toolUseId": "x", "content": "Hello"}], None),
    "a space of no width before": (text("\u200bHello"), "Hello"),
    "a byte order mark alone": (text("\ufeff"), None),
    "spaces of no width alone, before another": (text("\u200b \u200b\u2060", "Hello"), "Hello"),
    "letters that nobody sees": (text("\u3164\u2800 \U000e0041"), None),
    "a word that turns what is beside it": (text("\u202eevil\u202c and \u2067good\u2069"), "evil and good"),
    "61 characters, of which two turn others": (text("\u202b" + "x" * 59 + "\u202c"), "x" * 59),
}
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
WHOLE: dict[str, str] = {
    "a letter with its accents": "e\u0301\u0323",
    "a family": FAMILY,
    "a heart in red": "\u2764\ufe0f",
    "a hand with a tone of skin": "\U0001f44b\U0001f3fd",
    "a key": "1\ufe0f\u20e3",
    "a flag": "\U0001f1e9\U0001f1ea",
    "a flag of tags": "\U0001f3f4\U000e0067\U000e0062\U000e007f",
    "a syllable in parts": "\u1112\u1161\u11ab",
    "a letter of half width, with its voice": "\uff76\uff9e",
    "a consonant with its vowel": "\u0915\u094d\u0930"[:2] + "\u093f",
}


@pytest.mark.parametrize("character", WHOLE.values(), ids=WHOLE)
def test_a_title_is_not_cut_within_what_people_see_as_one_character(character: str) -> None:
    for before in range(57 - len(character), 58):
        title = title_from(text("x" * before + character + "y" * 60))
        assert title is not None
        kept = title.removesuffix("...").lstrip("x")
        assert kept == (character + "y" * (57 - before - len(character)) if before + len(character) <= 57 else "")


def test_of_flags_in_a_row_whole_ones_are_kept() -> None:
    flags = "\U0001f1e9\U0001f1ea" * 40
    assert title_from(text(flags)) == flags[:56] + "..."
    assert title_from(text("x" + flags)) == "x" + flags[:56] + "..."


def test_a_title_of_one_endless_character_is_cut_all_the_same() -> None:
    assert title_from(text("e" + "\u0301" * 100)) == "e" + "\u0301" * 56 + "..."
    assert title_from(text("\u200d" * 3 + "\u0301" * 100)) == "\u0301" * 57 + "..."


@pytest.mark.parametrize(("blocks", "title"), [pytest.param(*row, id=case) for case, row in TITLES.items()])
def test_a_title_is_the_first_words_on_one_line(blocks: list[dict[str, Any]], title: str | None) -> None:
    assert title_from(blocks) == title


@given(st.text())
def test_a_title_is_one_short_line_wherever_there_are_words(words: str) -> None:
    title = title_from(text(words))
    if title is None:
        kinds = {unicodedata.category(character) for character in words if not character.isspace()}
        assert kinds <= {"Cc", "Cf", "Cn", "Mn"} or set(words) & set("\u115f\u1160\u2800\u3164\uffa0")
    else:
        assert 0 < len(title) <= 60
        assert msgspec.convert(title, Title) == title
