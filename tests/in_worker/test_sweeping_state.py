"""What agents deleted, and what has expired, goes by itself: on D1 on a schedule, in a Durable Object by its alarm."""

import httpx
import pytest
from in_worker.test_purging import client_of, eventually, run_schedule

from support.backends import WORKERS, running_worker
from tools.local.worker import LocalWorker

HOUR = 3_600_000
JOURNAL = "/api/journals/sessions"


@pytest.fixture(params=WORKERS)
def running(request: pytest.FixtureRequest) -> LocalWorker:
    return running_worker(request.param, request)


def keep(client: httpx.Client, key: str, **fields: object) -> None:
    client.put(f"{JOURNAL}/{key}", json=fields).raise_for_status()
    entries = [{"data": "x" * 1_000_000}, {"data": 1}]
    client.post(f"{JOURNAL}/{key}/entries", json={"entries": entries}).raise_for_status()


def test_what_is_deleted_replaced_or_expired_is_swept(running: LocalWorker) -> None:
    user_id = "sweeping"
    with client_of(running, user_id) as client:

        def rows() -> int:
            if running.store == "d1":
                run_schedule(client)
            count: int = client.post("/rows", json={"user_id": user_id}).raise_for_status().json()
            return count

        # So long ago that whatever is to be looked at is due, once the clock is right.
        client.post("/clock", json={"offset": -2 * HOUR})
        keep(client, "stays")
        keep(client, "expires", expiresIn=3_600)
        keep(client, "is-deleted")
        keep(client, "is-replaced")
        each = rows() // 4
        assert each == 4  # itself, two entries, and a piece
        client.delete(f"{JOURNAL}/is-deleted").raise_for_status()
        client.put(f"{JOURNAL}/is-replaced", json={"mode": "replace"}).raise_for_status()
        assert client.get(f"{JOURNAL}/expires").status_code == 200
        client.post("/clock", json={"offset": 0})
        assert client.get(f"{JOURNAL}/expires").status_code == 404
        eventually(rows, each + 1)
        listed = client.get(JOURNAL).raise_for_status().json()["journals"]
        assert [journal["key"] for journal in listed] == ["stays", "is-replaced"]


def test_what_was_cleared_of_a_lane_is_swept(running: LocalWorker) -> None:
    user_id = "clearing"
    with client_of(running, user_id) as client:

        def rows() -> int:
            if running.store == "d1":
                run_schedule(client)
            count: int = client.post("/rows", json={"user_id": user_id}).raise_for_status().json()
            return count

        client.post("/clock", json={"offset": -2 * HOUR})
        for id_, kind in (("a", "kept"), ("b", "other")):
            new = {"id": id_, "lane": "one", "kind": kind, "payload": "x" * 1_500_000}
            client.post("/api/queues/q/tasks", json=new).raise_for_status()
            client.post(f"/api/queues/q/tasks/{id_}", json={"do": "drop"}).raise_for_status()
        client.post("/api/queues/q/lanes/one", json={"do": "close"}).raise_for_status()
        assert rows() == 2 + 2 * 2 + 1  # the tasks, two pieces of each, and the lane
        client.post("/api/queues/q/lanes/one", json={"do": "clear", "keep": "kept"}).raise_for_status()
        client.post("/clock", json={"offset": 0})
        eventually(rows, 1)
        listed = client.get("/api/queues/q/tasks").raise_for_status().json()["tasks"]
        assert [(task["id"], task["state"]) for task in listed] == [("a", "receipt")]


def test_the_alarm_of_an_object_is_set_for_what_expires_next(durable_object_worker: LocalWorker) -> None:
    with client_of(durable_object_worker, "expiring-state") as client:

        def alarm() -> int | None:
            at: int | None = client.post("/alarm", json={"user_id": "expiring-state"}).json()
            return at

        client.get(JOURNAL).raise_for_status()
        assert alarm() is None
        put = client.put(f"{JOURNAL}/a", json={"expiresIn": 7_200}).raise_for_status().json()
        first = alarm()
        assert first is not None
        assert put["createdAt"] < first < put["expiresAt"]
        client.put(f"{JOURNAL}/b", json={"expiresIn": 60}).raise_for_status()
        assert alarm() == first  # it will see to both
