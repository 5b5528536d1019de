"""User ids: whose a conversation is."""

import re

from threadkeep.errors import Invalid

USER_ID_CHARACTERS_MAX = 255

# What of them a header can say, where a comma stands between two headers.
HEADER_PATTERN = rf"^(?!\s)(?![\s\S]*\s$)[^,\u0000-\u001f\u007f-\u009f]{{1,{USER_ID_CHARACTERS_MAX}}}$"

# No control characters, and no half of a character, which no database can keep.
_matches = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{USER_ID_CHARACTERS_MAX}}}").fullmatch


def check_user_id(user_id: str) -> str:
    """The id itself, if it may be one: 1 to 255 characters, no control characters, no white space at either end.

    Nothing is derived from its form. Raises Invalid.
    """
    if _matches(user_id) is None or user_id != user_id.strip():
        raise Invalid(
            f"A user id has 1 to {USER_ID_CHARACTERS_MAX} characters, "
            "no control characters, and no white space at either end."
        )
    return user_id
