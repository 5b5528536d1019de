"""The title that a first message gives a conversation."""

import re
import unicodedata
from itertools import islice
from typing import Any

LENGTH_MAX = 60
"""Characters that such a title may have before it is cut."""

_CONTROL = r"\x00-\x1f\x7f-\x9f"
# Nobody sees these: a title of them alone would look empty.
_INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    r"\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
)
# A word may have a million letters, and it is cut long before.
_WORD = re.compile(rf"[^\s{_CONTROL}{_INVISIBLE}][^\s{_CONTROL}]{{0,999}}")
# One that is cut off before its end turns around whatever is shown beside the title.
_DIRECTIONS = re.compile(r"[\u202a-\u202e\u2066-\u2069]+")
# What belongs to the character before it, beside marks: joiners, tones of skin, tags, and later parts of a syllable.
_CONTINUES = re.compile(
    r"[\u200c\u200d\u1160-\u11ff\ud7b0-\ud7ff\uff9e\uff9f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
_FLAG_LETTERS_AT_END = re.compile(r"[\U0001f1e6-\U0001f1ff]*\Z")
_JOINER = "\u200d"


def title_from(blocks: list[dict[str, Any]]) -> str | None:
    """The first words of a content on one line, 60 characters at the most, or None where nobody would see any."""
    for block in blocks:
        if block["type"] == "text":
            # Each is at least a letter; a text may have a million of them.
            words = islice(_WORD.finditer(block["text"]), LENGTH_MAX)
            line = _DIRECTIONS.sub("", " ".join(word[0] for word in words))
            if line:
                return line if len(line) <= LENGTH_MAX else _cut(line, LENGTH_MAX - 3) + "..."
    return None


def _cut(line: str, length: int) -> str:
    """The beginning of a line, which does not end within what people see as one character, unless that is all."""
    end = length
    while end and _is_within(line, end):
        end -= 1
    return line[: end or length]


def _is_within(line: str, place: int) -> bool:
    """Whether what stands at this place belongs to what stands before it. Source: Unicode, UAX #29, most of it."""
    letter = line[place]
    if unicodedata.category(letter)[0] == "M" or _CONTINUES.match(letter) or line[place - 1] == _JOINER:
        return True
    if not _FLAG_LETTERS_AT_END.match(letter):
        return False
    letters = _FLAG_LETTERS_AT_END.search(line, 0, place)
    return letters is not None and len(letters[0]) % 2 == 1
