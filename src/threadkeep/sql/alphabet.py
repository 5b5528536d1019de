"""Alphabets: each user's words stand in the search index in an alphabet of their own, behind letters of their own.

The letters before them keep a query from reading anybody else's. The alphabet keeps them from being read where SQLite
leaves a copy of a page that the index once had, which on D1 nothing can overwrite. A letter is always the same letter,
so that a beginning stays a beginning.
"""

import hashlib
from base64 import b32encode
from functools import lru_cache
from string import ascii_lowercase, digits

_ASCII = digits + ascii_lowercase
# Of a letter beyond ASCII, the bits that change: as many as leave it as long in UTF-8, and no surrogate.
_BITS = ((0x800, 7), (0x10000, 11), (0x110000, 16))


class Alphabet(dict[int, int]):
    """What each letter becomes. For `str.translate`."""

    def __init__(self, user_id: str) -> None:
        given = user_id.encode()
        self.mark = b32encode(hashlib.sha256(given).digest())[:8].decode().lower()
        """What stands before each word."""
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

    def write(self, words: str) -> str:
        """Words, parted by spaces, as they stand in the index."""
        text = words.translate(self)
        return f"{self.mark}{text.replace(' ', f' {self.mark}')}" if text else ""


@lru_cache(maxsize=1_024)
def alphabet_of(user_id: str) -> Alphabet:
    """The alphabet of a user. It follows from the id alone."""
    return Alphabet(user_id)
