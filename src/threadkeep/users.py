"""User ids: whose a conversation is."""

from threadkeep.errors import Invalid

USER_ID_CHARACTERS_MAX = 255


def check_user_id(user_id: str) -> str:
    """The id itself, if it may be one: 1 to 255 characters, no control characters, no white space at either end.

    Nothing is derived from its form. Raises Invalid.
    """
    if (
        not 0 < len(user_id) <= USER_ID_CHARACTERS_MAX
        or user_id != user_id.strip()
        or any(character < " " or "\x7f" <= character <= "\x9f" or _is_surrogate(character) for character in user_id)
    ):
        raise Invalid(
            f"A user id has 1 to {USER_ID_CHARACTERS_MAX} characters, "
            "no control characters, and no white space at either end."
        )
    return user_id


def _is_surrogate(character: str) -> bool:
    """A half of a character, which no database can keep."""
    return "\ud800" <= character <= "\udfff"
