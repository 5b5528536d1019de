"""Makes up the conversations to measure with: always the same, with a few common words and many rare ones."""

import random
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from ulid import ULID

BEGIN = 1_767_225_600_000  # 2026-01-01
MINUTE = 60_000
TURN = 4
"""Messages in a turn: a question, a call of a tool, what the tool answered, and an answer."""

_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
_VOCABULARY = 4_000
_ACCENTED = {"e": "é", "u": "ü", "a": "à"}


def _vocabulary() -> list[str]:
    """Words, the most common first. Every fortieth has an accent."""
    made = random.Random(1)  # noqa: S311 the same words every time
    words: dict[str, None] = {}
    while len(words) < _VOCABULARY:
        word = "".join(made.choices(_SYLLABLES, k=made.choice((1, 2, 2, 3, 3, 4))))
        words[word if len(words) % 40 else word[:-1] + _ACCENTED.get(word[-1], word[-1])] = None
    return list(words)


WORDS = _vocabulary()
_WEIGHTS = list(accumulate(1 / rank for rank in range(3, _VOCABULARY + 3)))


class Writer:
    """Writes messages and draws ids: the same ones for the same seed."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311

    def new_id(self, time: int) -> str:
        """A ULID."""
        return str(ULID.from_bytes(time.to_bytes(6, "big") + self._random.randbytes(10)))

    def text(self, least: int, most: int) -> str:
        """So many words, in sentences."""
        words = self._random.choices(WORDS, cum_weights=_WEIGHTS, k=self._random.randint(least, most))
        sentences = [" ".join(words[begin : begin + 12]) for begin in range(0, len(words), 12)]
        return " ".join(f"{sentence.capitalize()}." for sentence in sentences)

    def turn(self) -> list[dict[str, Any]]:
        """A question, a call of a tool, what the tool answered, and an answer."""
        call = f"call_{self._random.randrange(10**12):012}"
        rows = [
            {"name": self.text(2, 4), "price": self._random.randrange(1, 90_000) / 100, "count": number}
            for number in range(self._random.randint(1, 4))
        ]
        return [
            {"role": "user", "content": [_text(self.text(5, 40))]},
            {
                "role": "assistant",
                "content": [
                    _text(self.text(4, 12)),
                    {"type": "tool_use", "id": call, "name": "look_up", "input": {"query": self.text(2, 6)}},
                ],
                "model": "model-large-4",
                "tokenCount": self._random.randrange(20, 400),
            },
            {"role": "tool", "content": [{"type": "tool_result", "toolUseId": call, "content": rows}]},
            {
                "role": "assistant",
                "content": [_text(self.text(30, 140))],
                "model": "model-large-4",
                "tokenCount": self._random.randrange(40, 900),
                "metadata": {"latency": self._random.randrange(300, 9_000)},
            },
        ]

    def messages(self, count: int) -> Iterator[dict[str, Any]]:
        """Messages without ids, turn by turn."""
        made = 0
        while made < count:
            for message in self.turn()[: count - made]:
                made += 1
                yield message


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
