"""The errors: one tree, written down where it is defined."""

import re

import pytest

from threadkeep import errors
from threadkeep.errors import Invalid, ThreadkeepError


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    documented = re.findall(r"^      (\w+) +(\w+)  ", errors.__doc__, re.MULTILINE)
    defined = [
        (kind.__name__, kind.code)
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ThreadkeepError) and kind is not ThreadkeepError
    ]
    assert documented == defined
    assert len({code for _, code in defined}) == 11


@pytest.mark.parametrize(
    ("error", "details"),
    [
        (ThreadkeepError("No."), None),
        (ThreadkeepError("No.", {"a": 1}), {"a": 1}),
        (Invalid("No."), None),
        (Invalid("No.", details={"a": 1}), {"a": 1}),
        (Invalid("No.", "x.y"), {"path": "x.y"}),
        (Invalid("No.", "x.y", {"a": 1}), {"path": "x.y", "a": 1}),
    ],
)
def test_an_error_says_its_message_and_carries_its_details(error: ThreadkeepError, details: object) -> None:
    assert str(error) == error.message == "No."
    assert error.details == details
