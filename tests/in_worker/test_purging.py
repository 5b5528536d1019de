"""What was deleted long ago is purged by itself: on D1 on a schedule, in a Durable Object by its alarm."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from support.in_process import as_user
from threadkeep.conversations.retention import DAY_MILLISECONDS
from tools.local.worker import LocalWorker

API = "/api/conversations"
RETENTION = 30 * DAY_MILLISECONDS
SOON = 3_000  # milliseconds


def eventually(look: Callable[[], Any], expected: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while (seen := look()) != expected:
        assert time.monotonic() < deadline, f"{seen!r}, after {seconds} seconds"
        time.sleep(0.1)


@contextmanager
def client_of(worker: LocalWorker, user_id: str) -> Iterator[httpx.Client]:
    """A client of a user; afterwards the Worker's clock is right again."""
    with httpx.Client(base_url=worker.url, headers=as_user(user_id), timeout=60) as client:
        try:
            yield client
        finally:
            client.post("/clock", json={"offset": 0})


def keep(client: httpx.Client, text: str) -> str:
    message = {"role": "user", "content": [{"type": "text", "text": text}]}
    created = client.post(API, json={"messages": [message]}).raise_for_status().json()
    return str(created["id"])


def found(client: httpx.Client, word: str) -> bool:
    return client.get(f"{API}/search", params={"q": word}).raise_for_status().json()["hits"] != []


def deletion_of(client: httpx.Client, conversation_id: str) -> int:
    """Delete a conversation, and answer when that was by the Worker's clock."""
    since = client.get(f"{API}/changes").json()["next"]
    client.delete(f"{API}/{conversation_id}").raise_for_status()
    (tombstone,) = client.get(f"{API}/changes", params={"since": since}).json()["conversations"]
    return int(tombstone["deletedAt"])


def test_an_alarm_purges_what_was_deleted_long_ago_and_is_set_for_what_comes_next(
    durable_object_worker: LocalWorker,
) -> None:
    with client_of(durable_object_worker, "alarmed") as client:

        def alarm() -> int | None:
            at: int | None = client.post("/alarm", json={"user_id": "alarmed"}).json()
            return at

        kept, old, new = keep(client, "stays"), keep(client, "goes aardvark"), keep(client, "goes later")
        assert alarm() is None
        # Deleted nearly a month ago, so that the month is over when what follows has been asked.
        client.post("/clock", json={"offset": 3 * SOON - RETENTION})
        old_time = deletion_of(client, old)
        due = alarm()
        assert due is not None
        assert old_time + RETENTION - 2_000 <= due <= old_time + RETENTION
        client.post("/clock", json={"offset": 0})
        new_time = deletion_of(client, new)
        assert alarm() == due  # the earlier one
        assert client.post(f"{API}/{old}/restore").status_code == 200  # not yet
        client.delete(f"{API}/{old}")
        client.post("/clock", json={"offset": RETENTION - 60_000})  # a minute before both are due
        eventually(lambda: (alarm() or 0) > due, True)
        assert client.post(f"{API}/{old}/restore").status_code == 200
        assert client.post(f"{API}/{new}/restore").status_code == 200
        assert new_time + RETENTION <= (alarm() or 0)
        assert {row["id"] for row in client.get(API).json()["conversations"]} == {kept, old, new}


def test_a_purge_by_alarm_takes_what_is_due_and_nothing_else(durable_object_worker: LocalWorker) -> None:
    with client_of(durable_object_worker, "due") as client:
        kept, old, new = keep(client, "stays"), keep(client, "goes aardvark"), keep(client, "goes later")
        client.post("/clock", json={"offset": SOON - RETENTION})
        client.delete(f"{API}/{old}").raise_for_status()
        client.post("/clock", json={"offset": 0})
        new_time = deletion_of(client, new)
        alarm = {"user_id": "due"}
        eventually(lambda: client.post("/alarm", json=alarm).json(), new_time + RETENTION)
        assert client.post(f"{API}/{old}/restore").status_code == 404
        assert client.post(f"{API}/{new}/restore").status_code == 200
        assert {row["id"] for row in client.get(API).json()["conversations"]} == {kept, new}
        assert (found(client, "aardvark"), found(client, "later")) == (False, True)
        client.post("/check", json=alarm).raise_for_status()


def test_a_purge_that_failed_is_tried_again(durable_object_worker: LocalWorker) -> None:
    an_hour = 3_600_000
    with client_of(durable_object_worker, "failing") as client:
        kept, old = keep(client, "stays"), keep(client, "goes aardvark")
        client.post("/clock", json={"offset": SOON - RETENTION})
        client.delete(f"{API}/{old}").raise_for_status()
        alarm = {"user_id": "failing"}
        due = client.post("/alarm", json=alarm).json()
        client.post("/clock", json={"offset": 2 * SOON - an_hour, "is_broken": True})
        eventually(lambda: client.post("/alarm", json=alarm).json() not in (None, due), True)
        client.post("/clock", json={"offset": 0})
        eventually(lambda: client.post("/alarm", json=alarm).json(), None)
        assert client.post(f"{API}/{old}/restore").status_code == 404
        assert [row["id"] for row in client.get(API).json()["conversations"]] == [kept]


def test_after_an_erasure_an_object_is_as_new_and_its_alarm_gone(durable_object_worker: LocalWorker) -> None:
    with client_of(durable_object_worker, "erased") as client:
        conversation = keep(client, "aardvark")
        client.delete(f"{API}/{conversation}").raise_for_status()
        erased = client.delete("/api/me", params={"confirm": "erased"}).raise_for_status().json()
        assert erased == {"conversations": 1, "messages": 1, "userId": "erased", "isComplete": True}
        assert client.post("/alarm", json={"user_id": "erased"}).json() is None
        client.delete(f"{API}/{keep(client, 'badger')}").raise_for_status()
        assert client.post("/alarm", json={"user_id": "erased"}).json() is not None


def run_schedule(client: httpx.Client) -> None:
    response = client.get("/cdn-cgi/handler/scheduled", params={"cron": "*/10 * * * *"})
    assert (response.status_code, response.text) == (200, "ok")


def test_a_schedule_purges_what_was_deleted_long_ago_of_every_user(d1_worker: LocalWorker) -> None:
    names = [f"scheduled {number}" for number in range(3)]
    with client_of(d1_worker, "scheduled") as client:
        users = [as_user(name) for name in names]
        kept: list[list[str]] = []
        for user in users:
            client.headers.update(user)
            kept.append([keep(client, "stays"), keep(client, "goes aardvark"), keep(client, "goes later")])
            client.post("/clock", json={"offset": -RETENTION})
            client.delete(f"{API}/{kept[-1][1]}").raise_for_status()
            client.post("/clock", json={"offset": 0})
            client.delete(f"{API}/{kept[-1][2]}").raise_for_status()

        client.post("/clock", json={"offset": -60_000})  # a minute before it is due
        run_schedule(client)
        client.headers.update(users[0])
        assert client.post(f"{API}/{kept[0][1]}/restore").status_code == 200
        client.delete(f"{API}/{kept[0][1]}")

        client.post("/clock", json={"offset": 0})
        run_schedule(client)
        for user, (stays, old, new) in zip(users[1:], kept[1:], strict=True):
            client.headers.update(user)
            assert client.post(f"{API}/{old}/restore").status_code == 404
            assert client.post(f"{API}/{new}/restore").status_code == 200
            assert {row["id"] for row in client.get(API).json()["conversations"]} == {stays, new}
            assert (found(client, "aardvark"), found(client, "later")) == (False, True)
        client.headers.update(users[0])
        assert client.post(f"{API}/{kept[0][1]}/restore").status_code == 200  # deleted again since
        client.post("/check", json={"user_id": names[0]}).raise_for_status()


def test_a_schedule_leaves_objects_to_their_alarms(durable_object_worker: LocalWorker) -> None:
    with client_of(durable_object_worker, "unscheduled") as client:
        conversation = keep(client, "aardvark")
        client.delete(f"{API}/{conversation}").raise_for_status()
        client.post("/clock", json={"offset": 2 * RETENTION})
        run_schedule(client)
        client.post("/clock", json={"offset": 0})
        assert client.post(f"{API}/{conversation}/restore").status_code == 200
