"""What nobody has appended to for long expires by itself: on D1 on a schedule, in a Durable Object by its alarm."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from in_worker.test_purging import API, client_of, eventually, run_schedule

from support.backends import WORKERS, worker
from threadkeep.conversations.retention import DAY_MILLISECONDS
from tools.local.worker import LocalWorker

DAYS = 7


@pytest.fixture(scope="module", params=WORKERS)
def expiring(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorker]:
    """A Worker in which conversations expire, unless they are pinned."""
    state: Path = tmp_path_factory.mktemp("expiring")
    variables = {"CONVERSATIONS_EXPIRE_DAYS": str(DAYS), "CONVERSATIONS_EXPIRE_SPARES": "pinned"}
    with worker(request.param, state, **variables) as started:
        yield started


def keep(client: httpx.Client, *, is_pinned: bool = False) -> str:
    created = client.post(API, json={"metadata": {"pinned": is_pinned}}).raise_for_status().json()
    return str(created["id"])


def test_what_is_old_expires_and_can_be_restored_and_stays_then(expiring: LocalWorker) -> None:
    with client_of(expiring, "old") as client:

        def listed() -> set[str]:
            return {row["id"] for row in client.get(API).raise_for_status().json()["conversations"]}

        def looked() -> set[str]:
            if expiring.store == "d1":
                run_schedule(client)
            return listed()

        client.post("/clock", json={"offset": -(DAYS + 1) * DAY_MILLISECONDS})
        old, pinned = keep(client), keep(client, is_pinned=True)
        if expiring.store == "d1":
            assert looked() == {old, pinned}  # it is not old yet
        since = client.get(f"{API}/changes").json()["next"]
        client.post("/clock", json={"offset": 0})
        new = keep(client)
        eventually(looked, {pinned, new})
        changes = client.get(f"{API}/changes", params={"since": since}).json()["conversations"]
        assert [row["id"] for row in changes if "deletedAt" in row and len(row) == 2] == [old]
        assert client.post(f"{API}/{old}/restore").raise_for_status().json()["deletedAt"] is None
        if expiring.store == "d1":
            assert looked() == {old, pinned, new}
        else:
            alarm = client.post("/alarm", json={"user_id": "old"}).json()
            now = client.post(API, json={}).json()["createdAt"]
            assert now < alarm <= now + DAY_MILLISECONDS  # whoever uses an object has it looked at once a day
