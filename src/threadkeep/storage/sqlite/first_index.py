"""The first index of SQLite, as long as there are databases that have it: only `sought` in it, and emptied by sweeping.

Each user's words stand in it in an alphabet of their own, which kept them from being read in copies of pages that
SQLite had left.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from string import ascii_lowercase, digits

from threadkeep.conversations.search import Term
from threadkeep.storage.sql.marks import mark_of

_ASCII = digits + ascii_lowercase
# Of a letter beyond ASCII, the bits that change: as many as leave it as long in UTF-8, and no surrogate.
_BITS = ((0x800, 7), (0x10000, 11), (0x110000, 16))


class Alphabet(dict[int, int]):
    """What each letter becomes. For `str.translate`."""

    def __init__(self, user_id: str) -> None:
        given = user_id.encode()
        number = int.from_bytes(hashlib.sha512(given).digest())
        self._mask = number & 0xFFFF | 1
        left = list(_ASCII)
        for letter in _ASCII:
            number, place = divmod(number, len(left))
            self[ord(letter)] = ord(left.pop(place))

    def __missing__(self, code: int) -> int:
        if code < 0x80:
            return code
        bits = next(bits for end, bits in _BITS if code < end)
        self[code] = code ^ (self._mask & (1 << bits) - 1)
        return self[code]


def indexed_words(user_id: str, words: str) -> str:
    """Words, parted by spaces, as they stand in the index."""
    mark = mark_of(user_id)
    return f"{mark}{words.translate(_alphabet_of(user_id)).replace(' ', f' {mark}')}" if words else ""


def match(user_id: str, terms: Sequence[Term]) -> str:
    """What the index is asked for. It takes a phrase of no words, which nothing has, and not a query of nothing."""
    return (
        " ".join(f'"{indexed_words(user_id, " ".join(term.tokens))}"{"*" if term.is_prefix else ""}' for term in terms)
        or '""'
    )


@lru_cache(maxsize=1_024)
def _alphabet_of(user_id: str) -> Alphabet:
    return Alphabet(user_id)
