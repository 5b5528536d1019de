"""Following the changes: which cursor can be followed, and from where."""

import pytest
from msgspec.structs import replace

from threadkeep.conversations.changes import Owner, as_change, end_of, follow
from threadkeep.conversations.cursors import AfterChange
from threadkeep.conversations.models import Conversation, Raw, Tombstone
from threadkeep.errors import CursorExpired
from threadkeep.ids import new_id

OWNER = Owner(epoch="now", rev=20, floor=10)
NOBODY = Owner(epoch="", rev=0, floor=0)


@pytest.mark.parametrize(
    ("cursor", "owner", "floor"),
    [
        pytest.param(AfterChange("", 0, 0, 0, 0), OWNER, 10, id="who begins"),
        pytest.param(AfterChange("now", 0, 0, 0, 0), OWNER, 10, id="who begins in this epoch"),
        pytest.param(AfterChange("now", 0, 2, 0, 0), OWNER, 10, id="who held nothing as there was nothing"),
        pytest.param(AfterChange("", 0, 0, 0, 0), NOBODY, 0, id="who begins where nobody wrote"),
        pytest.param(AfterChange("", 0, 2, 0, 0), OWNER, 10, id="who asked before anybody wrote"),
        pytest.param(AfterChange("now", 3, 0, 7, 10), OWNER, 10, id="who began with this floor, and is below it"),
        pytest.param(AfterChange("now", 10, 1, 7, 10), OWNER, 10, id="who is at the floor"),
        pytest.param(AfterChange("now", 10, 2, 0, 4), OWNER, 4, id="who is at a floor that has risen"),
        pytest.param(AfterChange("now", 15, 1, 7, 0), OWNER, 0, id="who is past a floor that has risen"),
        pytest.param(AfterChange("now", 20, 2, 0, 10), OWNER, 10, id="who has seen everything"),
    ],
)
def test_who_missed_nothing_goes_on(cursor: AfterChange, owner: Owner, floor: int) -> None:
    assert follow(cursor, owner) == floor


@pytest.mark.parametrize(
    ("cursor", "owner"),
    [
        pytest.param(AfterChange("then", 15, 0, 7, 10), OWNER, id="another epoch"),
        pytest.param(AfterChange("then", 0, 0, 0, 0), OWNER, id="the beginning of another epoch"),
        pytest.param(AfterChange("", 1, 0, 0, 0), OWNER, id="no epoch, but past the beginning"),
        pytest.param(AfterChange("now", 21, 0, 0, 10), OWNER, id="the future"),
        pytest.param(AfterChange("now", 1, 0, 0, 0), NOBODY, id="a user who was erased"),
        pytest.param(AfterChange("now", 3, 0, 7, 0), OWNER, id="a floor that has risen since the beginning"),
        pytest.param(AfterChange("now", 9, 2, 0, 9), OWNER, id="a floor that has risen since then"),
        pytest.param(AfterChange("now", 9, 1, 0, 11), OWNER, id="a floor that never was"),
    ],
)
def test_who_may_have_missed_something_begins_again(cursor: AfterChange, owner: Owner) -> None:
    with pytest.raises(CursorExpired, match="since=0") as caught:
        follow(cursor, owner)
    assert caught.value.code == "cursor_expired"


def test_the_end_is_after_every_row_of_the_last_change_and_can_be_followed() -> None:
    end = end_of(OWNER)
    assert (end.epoch, end.rev, end.floor) == ("now", 20, 10)
    assert all((end.rev, end.kind, end.n) > (20, kind, 2**53) for kind in (0, 1))
    assert (end.rev, end.kind, end.n) < (21, 0, 1)
    assert follow(end, OWNER) == 10
    assert follow(end, replace(OWNER, rev=30, floor=15)) == 10
    with pytest.raises(CursorExpired):
        follow(end, replace(OWNER, rev=30, floor=21))
    with pytest.raises(CursorExpired):
        follow(end, replace(OWNER, epoch="after"))


def test_who_pages_from_the_beginning_is_told_when_the_floor_rises_meanwhile() -> None:
    floor = follow(AfterChange("", 0, 0, 0, 0), OWNER)
    page = AfterChange("now", 3, 1, 7, floor)
    assert follow(page, OWNER) == 10
    with pytest.raises(CursorExpired):
        follow(page, replace(OWNER, floor=11))


@pytest.mark.parametrize("deleted_at", [None, 3])
def test_a_deleted_conversation_is_seen_as_a_tombstone(deleted_at: int | None) -> None:
    conversation = Conversation(
        id=new_id(),
        user_id="ada",
        title="T",
        title_source="user",
        model=None,
        created_at=1,
        updated_at=2,
        message_count=0,
        is_archived=False,
        metadata=Raw(b"{}"),
        version=1,
        deleted_at=deleted_at,
        leaf_id=None,
        forked_from=None,
    )
    expected = conversation if deleted_at is None else Tombstone(conversation.id, deleted_at)
    assert as_change(conversation) == expected
