"""The kinds of values that clients send for the state of agents, and how large they may be."""

from typing import Annotated

from msgspec import Meta, Raw

SPACE_BYTES_MAX = 64
NAME_BYTES_MAX = 512
"""Of keys, of ids of entries, and of what a journal is found by."""
PIECE_BYTES_MAX = 1_400_000
"""What is larger than an entry may be in one value is kept in pieces, none larger than this."""
WHOLE_BYTES_MAX = 900_000
"""An entry of more bytes is kept in pieces: on the way to a database, others may become twice as many."""
EXPIRES_IN_MAX = 10 * 366 * 86_400
REQUEST_PATTERN = "^[A-Za-z0-9._-]{1,64}$"

AnyJson = Annotated[Raw, Meta(description="Any JSON. It is kept to the letter, but for white space between its parts.")]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_BYTES_MAX, description="At most 512 bytes in UTF-8.")]
OptionalText = Annotated[str, Meta(max_length=NAME_BYTES_MAX, description="At most 512 bytes in UTF-8.")]
ExpiresIn = Annotated[int, Meta(ge=1, le=EXPIRES_IN_MAX, description="Seconds from now, at most ten years.")]
