"""User ids: what may be one, and what may not."""

import pytest

from threadkeep.errors import Invalid
from threadkeep.users import check_user_id

GOOD = ["a", "x" * 255, "\U0001f600" * 255, "ada@example.com", "auth0|5f7c", "a b", "a/b?c#d%20", "-", "\u00e9", "null"]
BAD = {
    "nothing": "",
    "256 characters": "x" * 256,
    "a space before": " ada",
    "a space behind": "ada ",
    "only a space": " ",
    "a line break behind": "ada\n",
    "a no-break space before": "\u00a0ada",
    "a line separator behind": "ada\u2028",
    "NUL": "a\x00b",
    "a tab": "a\tb",
    "escape": "a\x1bb",
    "delete": "a\x7fb",
    "a control character beyond ASCII": "a\x85b",
    "the last control character": "a\x9fb",
    "the first half of a character": "a\ud800b",
    "the second half of a character": "a\udfffb",
}


@pytest.mark.parametrize("user_id", GOOD, ids=ascii)
def test_a_user_id_is_given_back_as_it_is(user_id: str) -> None:
    assert check_user_id(user_id) == user_id


@pytest.mark.parametrize("user_id", [pytest.param(user_id, id=case) for case, user_id in BAD.items()])
def test_what_no_header_and_no_database_could_carry_is_no_user_id(user_id: str) -> None:
    with pytest.raises(Invalid) as raised:
        check_user_id(user_id)
    assert raised.value.message == (
        "A user id has 1 to 255 characters, no control characters, and no white space at either end."
    )
