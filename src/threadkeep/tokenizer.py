"""The words of a text, for the search index and for a query alike: one tokenizer for every back end.

A word is a run of letters and digits, its case folded and its diacritics removed: `lodz` finds Łódź. What nobody sees
within a word, such as a soft hyphen, is not there. In Chinese, Japanese and Korean, which do not part words by spaces,
each character is a word, so that a phrase of them finds any substring.
"""

import re
import sys
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache

VERSION = 2
"""The version of the words that a text has. When they change, it goes up, and a new index begins: see decision 0033."""
FOLDED_CHARACTERS_MAX = 32_000
"""How many characters of a text are cut into words once it is folded. Most texts keep their length."""
WORDS_MAX = 20_000
"""How many words a text can have: its first ones."""
GROWTH_MAX = 18
"""How many characters one may become when it is folded; U+FDFA becomes this many."""

# Han, Kana, Bopomofo, Hangul and their extensions. Source: the Unicode Character Database, Blocks.txt.
_ALONE = (
    "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u3096\u3099-\u309f\u30a1-\u30fa"
    "\u30fc-\u30ff\u3105-\u318f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7fb"
    "\uf900-\ufaff\U0001aff0-\U0001b16f\U00020000-\U000323af"
)
# Scripts of South and South-East Asia, whose vowel signs are no letters to a regular expression. Source: as above.
_WITH_SIGNS = (
    "\u0900-\u0963\u0966-\u0dff\u0e01-\u0e3a\u0e40-\u0eff\u0f18-\u0fbc\u1000-\u1049\u1050-\u109f\u1780-\u17d3"
    "\u17dd-\u17e9"
)
_LETTER = rf"(?:[^\W_{_ALONE}]|[{_WITH_SIGNS}])"
_WORD = re.compile(rf"[a-z0-9]+{_LETTER}*|[{_ALONE}]|{_LETTER}+")  # most are of ASCII, which is quickly told
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_FEW = 64  # of different characters: more are folded faster with all the text at once
# Letters of Latin alphabets that Unicode does not decompose, by what people type who do not have them.
_PLAIN = {
    ord(letter): plain
    for plain, letters in {
        "a": "ⱥ",
        "b": "ƀƃɓ",
        "c": "ƈȼ",
        "d": "đðƌɖɗ",
        "e": "ɇɛ",
        "f": "ƒ",
        "g": "ǥɠ",
        "h": "ħɦⱨ",
        "i": "ıɨ",
        "j": "ȷɉ",
        "k": "ƙⱪꝁĸ",
        "l": "łƚɫⱡ",
        "m": "ɱ",
        "n": "ŋƞɲ",
        "o": "øɵɔ",
        "p": "ƥᵽ",
        "q": "ɋ",
        "r": "ɍɽ",
        "s": "ȿʂ",
        "t": "ŧƫƭʈⱦ",
        "u": "ʉ",
        "v": "ʋ",
        "w": "ⱳ",
        "y": "ƴɏ",
        "z": "ƶȥⱬ",
        "ae": "æ",
        "oe": "œ",
        "th": "þ",
    }.items()
    for letter in letters
}
# What shapes or parts a word and is not seen: soft hyphen, joiners, marks of direction, tatweel, selectors of variants.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u0640\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200c-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_VOICING = "\u3099\u309a"  # the marks of が and ぱ, which are other letters than か and は
_PIECE = FOLDED_CHARACTERS_MAX // GROWTH_MAX  # no piece of so many characters has too many when it is folded


def tokens(text: str) -> list[str]:
    """The words of a text in order, each as it is indexed."""
    folded, _ = _folded(text)
    if folded.isascii():
        return _ASCII_WORD.findall(folded)[:WORDS_MAX]
    return _WORD.findall(unicodedata.normalize("NFC", folded))[:WORDS_MAX]


def words_of(text: str) -> str:
    """The words of a text, separated by spaces, which is the shortest way to keep them."""
    return " ".join(tokens(text))


class Located:
    """A text in which words can be located."""

    def __init__(self, text: str) -> None:
        self._folded, is_one_to_one = _folded(text)
        self._begins: Sequence[int] = range(len(text))
        self._ends: Sequence[int] = range(1, len(text) + 1)
        if not is_one_to_one or not unicodedata.is_normalized("NFC", self._folded):
            pieces: list[str] = []
            begins: list[int] = []
            ends: list[int] = []
            for begin, end in _clusters(text):
                if len(begins) >= FOLDED_CHARACTERS_MAX:
                    break
                pieces.append(_folded_character(text[begin:end]))
                begins += [begin] * len(pieces[-1])
                ends += [end] * len(pieces[-1])
            self._folded, self._begins, self._ends = "".join(pieces), begins, ends

    def find(
        self, words: Sequence[str], *, is_prefix: bool = False, within: int = sys.maxsize
    ) -> list[tuple[int, int]]:
        """Where these tokens stand next to each other, in this order: from which character, and up to which.

        With `is_prefix`, the last may be only the beginning of a word, and all of the word is found. What begins more
        than so many characters after the first is left out. No word of the text is looked at twice, as by Knuth, Morris
        and Pratt: where a word does not fit, what was read before it may still be the beginning of what is sought.
        """
        last = len(words) - 1
        borders = _borders(words[:last])
        begins: deque[int] = deque(maxlen=len(words))
        found: list[tuple[int, int]] = []
        count = 0  # how many words fit that were read before this one
        match = self._begin(words[0], 0)
        while match:
            word = match.group()
            begins.append(match.start())
            while True:
                if count < last:
                    if word == words[count]:
                        count += 1
                        break
                elif word == words[last] or (is_prefix and word.startswith(words[last])):
                    begin = self._begins[begins[0]]
                    if found and begin - found[0][0] > within:
                        return found
                    found.append((begin, self._ends[match.end() - 1]))
                if count == 0:
                    break
                count = borders[count - 1]
            match = _WORD.search(self._folded, match.end()) if count else self._begin(words[0], match.end())
        return found

    def _begin(self, word: str, place: int) -> re.Match[str] | None:
        """The next word, from this place on, that begins like this one."""
        folded = self._folded
        while (start := folded.find(word, place)) >= 0:
            match = _WORD.match(folded, start)
            if match and (start == 0 or folded[start - 1] == " " or _begins(folded, start)):
                return match
            place = match.end() if match else start + 1
        return None


def _borders(words: Sequence[str]) -> list[int]:
    """The failure function of Knuth, Morris and Pratt: for each prefix of the words, how many of its last words are its
    first ones again.
    """
    borders = [0] * len(words)
    count = 0
    for index in range(1, len(words)):
        while count and words[index] != words[count]:
            count = borders[count - 1]
        if words[index] == words[count]:
            count += 1
        borders[index] = count
    return borders


def _begins(folded: str, place: int) -> bool:
    """Whether no word goes on at this place."""
    before = _WORD.match(folded, place - 1, place + 1)
    return before is None or before.end() == place


def _folded(text: str) -> tuple[str, bool]:
    """Text without the differences that a search should not see, and whether each character surely became one."""
    if text.isascii():
        return text[:FOLDED_CHARACTERS_MAX].lower(), True
    pieces: list[str] = []
    size = 0
    are_one_to_one = True
    for start in range(0, len(text), _PIECE):
        piece, is_one_to_one = _folded_piece(text[start : start + _PIECE])
        pieces.append(piece)
        size += len(piece)
        are_one_to_one = are_one_to_one and is_one_to_one
        if size >= FOLDED_CHARACTERS_MAX:
            break
    return "".join(pieces)[:FOLDED_CHARACTERS_MAX], are_one_to_one


def _folded_piece(text: str) -> tuple[str, bool]:
    """`_folded` of a piece, which is the same wherever it is cut: what marks join, is joined in the end.

    Most texts have few different characters that are not of ASCII, so each of these is folded once, and put in all its
    places. None of them becomes another of them.
    """
    folded = text.lower()
    is_one_to_one = len(folded) == len(text)
    if folded.isascii():
        return folded, is_one_to_one
    others = set(_NOT_ASCII.findall(folded))
    if len(others) > _FEW:
        return _fold(folded), False
    for character in others:
        replacement = _folded_character(character)
        folded = folded.replace(character, replacement)
        is_one_to_one = is_one_to_one and len(replacement) == 1
    return folded, is_one_to_one


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Where each character of a text begins, and where what is joined to it ends: it may become one with that."""
    begin = 0
    for place in range(1, len(text)):
        if not _joins(text[place]):
            yield begin, place
            begin = place
    yield begin, len(text)


@lru_cache(maxsize=4_096)
def _joins(character: str) -> bool:
    """Whether a character may become one with that before it, or have others do so: a mark, a part of a syllable of
    Hangul, and what is not seen between such.
    """
    if character.isascii():
        return False
    if _UNSEEN.match(character):
        return True
    first = unicodedata.normalize("NFKD", character)[0]
    return unicodedata.category(first)[0] == "M" or "\u1160" <= first <= "\u11ff" or "\ud7b0" <= first <= "\ud7fb"


@lru_cache(maxsize=4_096)
def _folded_character(character: str) -> str:
    return _fold(character)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", _UNSEEN.sub("", _unmarked(text)).translate(_PLAIN))


def _unmarked(text: str) -> str:
    """Text without case and marks, decomposed."""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    marks = [ord(part) for part in set(parts) if part not in _VOICING and unicodedata.combining(part)]
    return parts.translate(dict.fromkeys(marks)) if marks else parts


def first_tokens(text: str) -> list[str]:
    """The words that a text had in version 1, as long as an index of them may be asked."""
    return _WORD.findall(unicodedata.normalize("NFC", _unmarked(text)))
