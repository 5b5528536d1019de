"""Searching: what of a message is found, what a query asks for, and the piece of text that shows why it was found."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from threadkeep.conversations.models import Conversation, Hit, Message, SnippetPart
from threadkeep.conversations.visible import visible_strings
from threadkeep.errors import Invalid
from threadkeep.tokenizer import Located, tokens
from threadkeep.work import Work

TEXT_CHARACTERS_MAX = 16_000
"""How much of a message is searched: its first characters."""
INDEXED_MAX = 12_000_000
"""How many characters may be indexed in one write: words with a space between, and `INDEXED_BESIDE_WORD` for each."""
INDEXED_BESIDE_WORD = 8
"""The letters that stand before a word in the index."""
TERMS_MAX = 32
"""How many words and phrases a query may have."""
WORDS_OF_QUERY_MAX = 512
"""How many words a query may have, those in phrases included. Each character of Chinese is one."""

# A number has no words. Read as a float, one might be too large.
_blocks = msgspec.json.Decoder(list[dict[str, Any]], float_hook=lambda text: None)

_SNIPPET_CHARACTERS_BEFORE = 60
_SNIPPET_CHARACTERS_MAX = 200
_HIT_SIZE = 1_000  # as much work as so many characters, however small it is


class Term(NamedTuple):
    """What must be found: words next to each other, in this order. The last may be only the beginning of one."""

    tokens: list[str]
    is_prefix: bool


def text_of(blocks: list[dict[str, Any]]) -> str:
    """What of a content is searched: the first characters of what people see of it."""
    if len(blocks) == 1 and blocks[0]["type"] == "text":  # as nearly all are
        text: str = blocks[0]["text"]
        return text[:TEXT_CHARACTERS_MAX]
    parts: list[str] = []
    size = 0
    for part in visible_strings(blocks):
        parts.append(part)
        size += len(part) + 1
        if size > TEXT_CHARACTERS_MAX:
            break
    return "\n".join(parts)[:TEXT_CHARACTERS_MAX]


def text_of_content(content: msgspec.Raw) -> str:
    """`text_of` a content as it is kept."""
    return text_of(blocks_of(content))


def blocks_of(content: msgspec.Raw) -> list[dict[str, Any]]:
    """The blocks of a content as it is kept, for their words."""
    return _blocks.decode(content)


def indexed_size(words: str) -> int:
    """How much is indexed of words that are parted by spaces."""
    return len(words) + INDEXED_BESIDE_WORD * (words.count(" ") + 1) if words else 0


def parse_query(text: str, tokens: Callable[[str], list[str]] = tokens) -> list[Term]:
    """What people type: words, and phrases in double quotes. Everything must be found; the last word may be a prefix.

    Nothing of it is syntax but the quotes, and one that is not closed ends at the end. Signs and emoji are no words: of
    them alone there are no terms, and nothing is found. Raises Invalid where it is blank, or has too many words.
    """
    if not text.strip():
        raise Invalid("q: There is no word in this query; type at least one letter or digit.", "q")
    terms: list[Term] = []
    ends_in_word = False
    for number, part in enumerate(text.split('"')):
        is_phrase = number % 2 == 1
        for piece in [part] if is_phrase else part.split():
            found = tokens(piece)
            if found:
                ends_in_word = not is_phrase
                terms.append(Term(found, is_prefix=False))
    if len(terms) > TERMS_MAX:
        raise Invalid(f"q: A query may have {TERMS_MAX} words and phrases; search for fewer.", "q")
    if sum(len(term.tokens) for term in terms) > WORDS_OF_QUERY_MAX:
        raise Invalid(f"q: A query may have {WORDS_OF_QUERY_MAX} words in all; search for fewer.", "q")
    if ends_in_word:
        terms[-1] = terms[-1]._replace(is_prefix=True)
    return terms


def snippet(text: str, terms: list[Term]) -> list[SnippetPart]:
    """The piece of a text around the first match, in parts that say whether they match."""
    matches = _matches(text, terms)
    first = matches[0][0] if matches else 0
    begin = 0 if first <= _SNIPPET_CHARACTERS_BEFORE else text.rfind(" ", 0, first - _SNIPPET_CHARACTERS_BEFORE + 1) + 1
    begin = max(begin, first - 2 * _SNIPPET_CHARACTERS_BEFORE)
    end = min(len(text), begin + _SNIPPET_CHARACTERS_MAX)
    parts: list[SnippetPart] = []
    place = begin
    for start, stop in matches:
        if start >= end:
            break
        if start > place:
            parts.append(SnippetPart(text[place:start], match=False))
        place = min(stop, end)
        parts.append(SnippetPart(text[start:place], match=True))
    if place < end:
        parts.append(SnippetPart(text[place:end], match=False))
    return parts


def _matches(text: str, terms: list[Term]) -> list[tuple[int, int]]:
    """Where terms begin and end, in order: of each the first, and those that begin near it."""
    located = Located(text)
    matches: list[tuple[int, int]] = []
    for term in terms:
        matches += located.find(term.tokens, is_prefix=term.is_prefix, within=_SNIPPET_CHARACTERS_MAX)
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(matches):
        if merged and start < merged[-1][1]:  # some begin within others
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return merged


class Found(NamedTuple):
    """What a store has found: a message, or a conversation by its title."""

    conversation: Conversation
    message: Message | None
    is_active: bool
    next_seq: int | None


def hits(found: list[Found], terms: list[Term]) -> Work[list[Hit]]:
    """Hits with their snippets."""
    made: list[Hit] = []
    for each in found:
        yield _HIT_SIZE if each.message is None else max(_HIT_SIZE, len(memoryview(each.message.content)))
        made.append(_hit(each, terms))
    return made


def _hit(found: Found, terms: list[Term]) -> Hit:
    message = found.message
    text = found.conversation.title if message is None else text_of_content(message.content)
    previous = None if message is None else message.follows or None
    return Hit(found.conversation, message, snippet(text, terms), found.is_active, previous, found.next_seq)


def starts_at(words: list[str], index: int, term: Term) -> bool:
    """Whether a term is found in a list of words at this place."""
    last = index + len(term.tokens) - 1
    if last >= len(words) or words[index:last] != term.tokens[:-1]:
        return False
    return words[last].startswith(term.tokens[-1]) if term.is_prefix else words[last] == term.tokens[-1]
