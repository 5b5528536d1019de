"""The words of a text, for the search index and for a query alike: one tokenizer for every back end.

A word is a run of letters and digits, its case folded and its diacritics removed. In Chinese, Japanese and Korean,
which do not part words by spaces, each character is a word, so that a phrase of them finds any substring.
"""

import re
import sys
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

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
_VOICING = "\u3099\u309a"  # the marks of が and ぱ, which are other letters than か and は


def tokens(text: str) -> list[str]:
    """The words of a text in order, each as it is indexed."""
    folded, _ = _folded(text)
    if folded.isascii():
        return _ASCII_WORD.findall(folded)
    return _WORD.findall(unicodedata.normalize("NFC", folded))


class Located:
    """A text in which words are found at the places where they stand in it."""

    def __init__(self, text: str) -> None:
        self._folded, is_one_to_one = _folded(text)
        self._places: Sequence[int] = range(len(text))
        if not is_one_to_one:
            pieces = [_folded_character(character) for character in text]
            self._folded = "".join(pieces)
            self._places = [place for place, piece in enumerate(pieces) for _ in piece]

    def find(
        self, words: Sequence[str], *, is_prefix: bool = False, within: int = sys.maxsize
    ) -> list[tuple[int, int]]:
        """Where these tokens stand next to each other, in this order: from which character, and up to which.

        With `is_prefix`, the last may be only the beginning of a word, and all of the word is found. What begins more
        than so many characters after the first is left out.
        """
        folded = self._folded
        first, *others = words
        found: list[tuple[int, int]] = []
        place = folded.find(first)
        while place >= 0:
            word = _WORD.match(folded, place)
            stop = word.end() if word else place + 1
            if word and (place == 0 or folded[place - 1] == " " or _begins(folded, place)):
                previous = first
                for token in others:
                    if word is None or word.group() != previous:
                        word = None
                        break
                    previous = token
                    word = _WORD.search(folded, word.end())
                if word and (word.group() == previous or (is_prefix and word.group().startswith(previous))):
                    begin = self._places[place]
                    if found and begin - found[0][0] > within:
                        break
                    found.append((begin, self._places[word.end() - 1] + 1))
            place = folded.find(first, stop)
        return found


def _begins(folded: str, place: int) -> bool:
    """Whether no word goes on at this place."""
    before = _WORD.match(folded, place - 1, place + 1)
    return before is None or before.end() == place


def _folded(text: str) -> tuple[str, bool]:
    """Text without the differences that a search should not see, and whether each character surely became one.

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


@lru_cache(maxsize=4_096)
def _folded_character(character: str) -> str:
    return _fold(character)


def _fold(text: str) -> str:
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(part for part in parts if part in _VOICING or not unicodedata.combining(part))
    return unicodedata.normalize("NFC", bare)
