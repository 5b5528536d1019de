"""Words: what is one, what makes two the same, and where they stand."""
# ruff: noqa: RUF001 - letters that look alike are what this is about

import re
import sys
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from threadkeep.tokens import FOLDED_CHARACTERS_MAX, GROWTH_MAX, WORDS_MAX, Located, tokens, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n", []),
        ("Two words", ["two", "words"]),
        ("HTTP/2, at 3.14%", ["http", "2", "at", "3", "14"]),
        ("can't re-do snake_case()", ["can", "t", "re", "do", "snake", "case"]),
        ("a\u0000b\u200bc\u00a0d", ["a", "b", "c", "d"]),
        ("x=1;y+=2", ["x", "1", "y", "2"]),
        ("HAT136-ZX", ["hat136", "zx"]),
        ("٣ 三 ③ x²", ["٣", "三", "3", "x2"]),
        ("😀 👍🏽 → ★ ©", []),
        ("Привет МИР", ["привет", "мир"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("ཀ་ཁ", ["ཀ", "ཁ"]),
    ],
)
def test_a_word_is_a_run_of_letters_and_digits(text: str, words: list[str]) -> None:
    assert tokens(text) == words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CAFE", "café"),
        ("ZÜRICH", "zurich"),
        ("Çeşme", "cesme"),
        ("Straße", "STRASSE"),
        ("ﬁne", "FINE"),
        ("İstanbul", "istanbul"),
        ("Ⅷ", "viii"),
        ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("ΌΔΟΣ", "οδος"),
        ("Ёлка", "елка"),
        ("Việt Nam", "viet nam"),
        ("ｶﾞ", "ガ"),
        ("مُحَمَّد", "محمد"),
    ],
)
def test_case_diacritics_and_forms_of_a_letter_do_not_matter(one: str, other: str) -> None:
    assert tokens(one) == tokens(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("か", "が"), ("は", "ぱ"), ("ハ", "バ"), ("か", "カ"), ("กา", "กี"), ("की", "का"), ("1", "l")],
)
def test_what_makes_another_letter_matters(one: str, other: str) -> None:
    assert tokens(one) != tokens(other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("日本語テスト", ["日", "本", "語", "テ", "ス", "ト"]),
        ("がぎ パピ", ["が", "ぎ", "パ", "ピ"]),
        ("ラーメン々〇", ["ラ", "ー", "メ", "ン", "々", "〇"]),
        ("한국어 글", ["한", "국", "어", "글"]),
        ("漢字、かな。", ["漢", "字", "か", "な"]),
        ("Python3入門v2", ["python3", "入", "門", "v2"]),
        ("𠀀𰻞", ["𠀀", "𰻞"]),
        ("ㄅㄆ", ["ㄅ", "ㄆ"]),
    ],
)
def test_each_character_of_chinese_japanese_and_korean_is_a_word(text: str, words: list[str]) -> None:
    assert tokens(text) == words


@pytest.mark.parametrize(
    "text", ["नमस्ते", "हिन्दी", "বাংলা", "தமிழ்", "తెలుగు", "ภาษาไทย", "ที่นี่", "ພາສາລາວ", "ភាសាខ្មែរ", "မြန်မာ"]
)
def test_vowel_signs_do_not_break_a_word_of_south_and_south_east_asia(text: str) -> None:
    assert len(tokens(text)) == 1
    assert tokens(f"{text} {text}") == tokens(text) * 2


@pytest.mark.parametrize(
    "text", ["Café Zürich", "がぎぐ パピプ", "한국어", "Việt Nam", "ñandú", "й ё", "À propos", "शिक्षा", "ガ行"]
)
def test_input_that_is_decomposed_has_the_words_of_what_is_composed(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert composed != decomposed or "शि" in text
    assert tokens(decomposed) == tokens(composed)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("A flight, to  Seattle!", ["A", "flight", "to", "Seattle"]),
        ("Café ZÜRICH", ["Café", "ZÜRICH"]),
        ("the ﬁne Straße 😀 İx", ["the", "ﬁne", "Straße", "İx"]),
        ("日本 x語", ["日", "本", "x", "語"]),
        ("한국", ["한", "국"]),
        ("が", ["が"]),
        ("ⅧⅨ", ["ⅧⅨ"]),
        ("x² ½", ["x²", "½", "½"]),
    ],
)
def test_a_word_is_located_where_it_stands_in_the_original(text: str, pieces: list[str]) -> None:
    located = Located(text)
    words = tokens(text)
    assert len(set(words)) == len(words)
    assert [text[start:end] for word in words for start, end in located.find([word])] == pieces


def test_a_text_of_many_different_letters_has_the_words_of_each() -> None:
    letters = [chr(code) for code in range(0xC0, 0x250) if chr(code).isalpha()]
    assert len(letters) > 300
    text = " ".join(letters)
    assert tokens(text) == [word for letter in letters for word in tokens(letter)]
    located = Located(text)
    for place, letter in enumerate(letters):
        assert (2 * place, 2 * place + 1) in located.find(tokens(letter))


def test_only_what_begins_near_the_first_is_located() -> None:
    located = Located("one two one three one")
    assert located.find(["one"], within=8) == [(0, 3), (8, 11)]
    assert located.find(["one"], within=7) == [(0, 3)]
    assert len(located.find(["one"])) == 3


def test_a_text_has_words_as_far_as_it_goes_once_it_is_folded() -> None:
    assert FOLDED_CHARACTERS_MAX == 32_000
    for filler, count in (("x", 31_994), ("\ufdfa", 1_777), ("é", 31_994), ("½", 10_664), ("ﬁ", 15_997)):
        assert tokens(f"{filler * count} last")[-1] == "last"
        assert tokens(f"{filler * (count + 100)} last")[-1] != "last"
        assert Located(f"{filler * count} last").find(["last"])
        assert not Located(f"{filler * (count + 100)} last").find(["last"])
    assert len(tokens("漢" * 31_000)) == len(tokens("㍿" * 16_000)) == WORDS_MAX == 20_000
    assert len(tokens("a " * 16_000)) == 16_000


def test_what_is_cut_into_pieces_has_the_words_of_the_whole() -> None:
    for filler in ("Größe und Maß, ", "日本語の漢字かな交じり文", "한국어 ", "が", "と\u3099", "สวัสดี "):
        text = filler * (16_000 // len(filler))
        assert tokens(text) == tokens(filler) * (16_000 // len(filler))
    letters = "".join(chr(code) for code in range(0x4E00, 0x4E00 + 16_000))
    assert tokens(letters) == list(letters)


def test_no_character_becomes_more_than_eighteen() -> None:
    assert max(len(words_of(chr(code))) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000) <= 18
    assert GROWTH_MAX == len(words_of("\ufdfa")) == 18


PARTS = st.text(st.sampled_from("ab "), max_size=40)


@given(PARTS, PARTS.filter(str.strip), st.booleans(), st.sampled_from([3, sys.maxsize]))
@example("a a a b", "a a b", False, sys.maxsize)
@example("a a ab a ab", "a a", True, sys.maxsize)
def test_a_phrase_is_found_wherever_it_begins(text: str, phrase: str, is_prefix: bool, within: int) -> None:
    located, sought = Located(text), phrase.split()
    words = [(found.start(), found.group()) for found in re.finditer("[ab]+", text)]
    last = len(sought) - 1
    expected = []
    for index in range(len(words) - last):
        part = [word for _, word in words[index : index + last + 1]]
        if part[:last] == sought[:last] and (
            part[last] == sought[last] or (is_prefix and part[last].startswith(sought[last]))
        ):
            start, end = words[index][0], words[index + last]
            expected.append((start, end[0] + len(end[1])))
    assert located.find(sought, is_prefix=is_prefix, within=within) == [
        place for place in expected if place[0] - expected[0][0] <= within
    ]


def test_every_letter_of_unicode_is_found_by_its_own_words() -> None:
    letters = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isalnum()]
    assert len(letters) > 100_000
    for letter in letters:
        for word in tokens(letter):
            assert tokens(word) == [word]
            assert (0, 1) in Located(letter).find([word])


# Half-width voicing marks join the letter before them, which only `tokens` sees.
LETTERS = st.text(
    st.sampled_from("aZéßﬁİſKµςΣ1٣_- \n.'が\u3099パー漢々한글ᄀ가นี้कीि́̈Ꭰ😀\u200d\u0000")
    | st.characters(exclude_categories=["Cs"], exclude_characters="\uff9e\uff9f"),
    max_size=40,
)


@given(LETTERS)
@example("e\u0301")
@example("ᏣᎳᎩ")
def test_words_are_located_as_they_are_indexed(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    located, words = Located(text), tokens(text)
    for word in set(words):
        assert len(located.find([word])) == words.count(word)
        beginnings = [word[:length] for length in range(1, len(word) + 1)]
        for beginning in beginnings:
            found = located.find([beginning], is_prefix=True)
            assert len(found) == sum(other.startswith(beginning) for other in words)
    if words:
        assert located.find(words)


@given(LETTERS, LETTERS)
def test_words_are_found_next_to_each_other_and_in_their_order(one: str, other: str) -> None:
    text = unicodedata.normalize("NFC", f"{one} , {other}")
    words = tokens(text)
    located = Located(text)
    pairs = list(pairwise(words))
    for first, second in {*pairs, *zip(words, words, strict=True)}:
        assert len(located.find([first, second])) == pairs.count((first, second))


@given(LETTERS)
def test_places_are_in_order_and_hold_something(text: str) -> None:
    for word in tokens(text):
        places = Located(text).find([word])
        assert all(0 <= start < end <= len(text) for start, end in places)
        assert places == sorted(places)


@given(LETTERS, LETTERS)
def test_words_do_not_depend_on_what_stands_apart(one: str, other: str) -> None:
    assert tokens(f"{one} , {other}") == [*tokens(one), *tokens(other)]


@given(LETTERS)
def test_a_word_is_its_own_word_and_has_no_syntax_in_it(text: str) -> None:
    for word in tokens(text):
        assert tokens(word) == [word]
        assert not set(word) & set(' "*^:()-+\u0000')
