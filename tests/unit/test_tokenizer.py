"""Words: what is one, what makes two the same, and where they stand."""
# ruff: noqa: RUF001 - letters that look alike are what this is about

import hashlib
import re
import sys
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from threadkeep.tokenizer import (
    FOLDED_CHARACTERS_MAX,
    GROWTH_MAX,
    VERSION,
    WORDS_MAX,
    Located,
    first_tokens,
    tokens,
    words_of,
)


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


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("Łódź", "lodz"),
        ("đường", "duong"),
        ("IŞIK", "ışık"),
        ("Ærøskøbing", "aeroskobing"),
        ("Œuvre", "oeuvre"),
        ("Þórður", "thordur"),
        ("Għarb", "gharb"),
        ("Ŋandi ɓuru", "nandi buru"),
        ("co\u00adop\u00aderation", "cooperation"),
        ("كتـــاب", "كتاب"),
        ("می\u200cخواهم", "میخواهم"),
        ("word\u2060joiner", "wordjoiner"),
        ("क्\u200dष", "क्ष"),
        ("❤\ufe0fa\ufe0fb", "ab"),
    ],
)
def test_a_word_is_found_by_what_people_type(text: str, typed: str) -> None:
    assert tokens(text) == tokens(typed)
    located = Located(text)
    (place,) = located.find(tokens(typed)[:1])
    assert text[place[0] : place[1]] == text.split(maxsplit=1)[0].removeprefix("❤\ufe0f")


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("ﾊﾞｶﾞ", "バガ"),
        ("か\u3099き\u3099", "がぎ"),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", "한글"),
        ("ﾡﾢ", "ㄱㄲ"),
        ("ক\u09c7\u09be", "ক\u09cb"),
    ],
)
def test_what_is_written_in_parts_is_marked_whole(text: str, typed: str) -> None:
    for written, sought in ((text, typed), (typed, text)):
        assert Located(f"x {written} y").find(tokens(sought)) == [(2, 2 + len(written))]


def test_every_letter_and_digit_of_unicode_is_marked_where_it_is_found() -> None:
    letters = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] in "LN"]
    missed = []
    for start in range(0, len(letters), 400):
        part = letters[start : start + 400]
        located = Located(" ".join(part))
        for place, letter in enumerate(part):
            words = tokens(letter)
            assert len(" ".join(words)) <= GROWTH_MAX
            assert [again for word in words for again in tokens(word)] == words
            if words and not any(begin <= 2 * place < end for begin, end in located.find(words)):
                missed.append(letter)
    assert len(letters) > 130_000
    assert missed == []


JOINED = st.text(
    st.sampled_from("aéßŁ \u0301\u0327\u00ad\u200cかｶ\u3099ﾞﾟ\u1112\u1161\u11abｱ한ی\u0640\u09c7\u09beक्षﷺﬁ㍿."),
    max_size=20,
)


@given(JOINED)
@example("\u1112\u0640\u1161")  # what nobody sees stands between the parts of a syllable
@example("か\u00ad\u3099")
def test_whatever_a_text_is_found_by_is_marked_in_it(text: str) -> None:
    located, words = Located(text), tokens(text)
    for count in (1, 2, len(words)):
        for start in range(len(words) - count + 1 if count else 0):
            found = located.find(words[start : start + count])
            assert found
            assert all(tokens(text[begin:end])[:1] for begin, end in found)


def test_the_words_of_version_2_are_these() -> None:
    text = (
        "Łódź đường IŞIK Ærøskøbing Þórður Straße ﬁnd ½ x² Ⅷ ﷺ co\u00adop كتـــاب می\u200cخواهم हिन्दी ภาษาไทย "
        "日本語テスト ﾊﾞ か\u3099 한국어 \u1112\u1161\u11ab HAT136-ZX snake_case Ελληνικά Ёлка й"
    )
    # Another digest is another tokenizer: VERSION goes up, and a new index begins.
    assert (VERSION, hashlib.sha256(words_of(text).encode()).hexdigest()[:16]) == (2, "c7dc1f1e94492922")
    assert words_of("Łódź")[:2] == "lo"
    assert first_tokens("Łódź co\u00adop") == ["łodz", "co", "op"]


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
    # Of the others, those that stand alone stay as they are, as the test of all letters sees, and nobody has assigned
    # the rest.
    assigned = [chr(code) for code in range(0x3000) if unicodedata.category(chr(code)) not in ("Cn", "Cs")]
    assigned += [chr(code) for code in range(0xF900, 0x10000) if unicodedata.category(chr(code)) != "Cn"]
    assigned += [chr(code) for code in range(0x1D100, 0x1FC00) if unicodedata.category(chr(code)) != "Cn"]
    assert GROWTH_MAX == max(len(words_of(character)) for character in assigned) == len(words_of("\ufdfa")) == 18


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


LETTERS = st.text(
    st.sampled_from("aZéßﬁİſKµςΣ1٣_- \n.'が\u3099パー漢々한글ᄀ가นี้कीि́̈Ꭰ😀\u200d\u0000")
    | st.characters(exclude_categories=["Cs"]),
    max_size=40,
)


@given(LETTERS)
@example("e\u0301")
@example("ᏣᎳᎩ")
def test_words_are_located_as_they_are_indexed(text: str) -> None:
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
