"""The client that blocks is made of the one that does not, and is no older than that."""

import pytest

from tools.sync_client import TARGET, sources, translated


@pytest.mark.parametrize("name", sources())
def test_the_client_that_blocks_is_the_other_word_by_word(name: str) -> None:
    assert (TARGET / name).read_text() == translated(sources()[name]), "run scripts/lock"


def test_nothing_of_the_other_is_left_in_it() -> None:
    by_hand = {"__init__.py", "waiting.py"}
    assert {path.name for path in TARGET.glob("*.py")} == {*sources(), *by_hand}
    for path in map(TARGET.joinpath, sources()):
        words = {"async", "await", "Async", "anyio", "asyncio", "RemoteStore"}
        assert {word for word in words if word in path.read_text().replace("/api/", "")} == set(), path
