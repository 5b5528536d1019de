"""Two users with tasks of the same ids: neither sees, changes, blocks or reveals the other's."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from test_two_users_of_state import Keeper

from support.backends import Backend
from support.routes import USER_ROUTES
from threadkeep.ids import new_id

pytestmark = pytest.mark.anyio

QUEUES = "/api/queues/{queue}"
QUEUE = "/api/queues/agents"
TASKS = f"{QUEUE}/tasks"
VIEWS = ("runnable", "unready", "running", "expired", "settling", "open", "all")


async def keep(user: Keeper) -> None:
    """Tasks of each state, all of them full of the user's word, and a lane that is closed."""
    word = user.secret
    owned = {"attempt": "a1", "holder": "h1", "leaseUntil": 5}

    async def change(task: str, do: str, **fields: Any) -> None:
        answer = await user.ask("POST", f"{TASKS}/{task}", {"do": do, **fields})
        assert answer.json()["applied"], (task, do)

    for task, lane in (("shared", "one"), ("guest", "one"), ("late", "one"), ("ending", "two"), ("ended", "three")):
        new = {"id": task, "lane": lane, "kind": word, "target": word, "payload": {"text": word}}
        assert (await user.ask("POST", TASKS, new)).status_code == 201
    await change("shared", "claim", **owned)
    await change("shared", "note", attempt="a1", note={"text": word})
    await change("shared", "absorb", attempt="a1", target=word)
    await change("guest", "join", host="shared", attempt="a1")
    await change("ending", "claim", **owned)
    await change("ending", "reserve", attempt="a1", settlementId="s", settlement=word, error=word)
    await change("ended", "drop", error=word)
    assert (await user.ask("POST", f"{QUEUE}/lanes/closed", {"do": "close"})).json()["closedAt"] is not None


async def everything(user: Keeper) -> Any:
    """All tasks that a user has, in all views."""
    return [(await user.ask("GET", f"{TASKS}?view={view}")).json() for view in VIEWS]


@pytest.fixture
async def pair(backend: Backend) -> tuple[Keeper, Keeper]:
    secrets = [f"secret{new_id()}" for _ in range(2)]
    users = [
        Keeper(name, secret, backend.client_of(f"{name}-{new_id()}"), other)
        for name, secret, other in zip(("alice", "bob"), secrets, secrets[::-1], strict=True)
    ]
    for user in users:
        await keep(user)
    return users[0], users[1]


Question = Callable[[Keeper, str], Awaitable[httpx.Response]]


def asked(do: str, **fields: Any) -> Question:
    return lambda user, task: user.ask("POST", f"{TASKS}/{task}", {"do": do, **fields})


def of_lane(do: str, lane: str) -> Question:
    return lambda user, task: user.ask("POST", f"{QUEUE}/lanes/{lane}", {"do": do})


OWNED = {"attempt": "a1"}
QUESTIONS: dict[tuple[str, str], list[Question]] = {
    ("GET", QUEUES): [lambda user, task: user.ask("GET", QUEUE)],
    ("GET", f"{QUEUES}/tasks"): [
        *(lambda user, task, view=view: user.ask("GET", f"{TASKS}?view={view}") for view in VIEWS),  # type: ignore[misc]
        lambda user, task: user.ask("GET", f"{TASKS}?view=lane&lane=one&limit=1"),
        lambda user, task: user.ask("GET", f"{TASKS}?view=joined&host={task}"),
    ],
    ("GET", f"{QUEUES}/tasks/{{task}}"): [lambda user, task: user.ask("GET", f"{TASKS}/{task}")],
    ("POST", f"{QUEUES}/renew"): [
        lambda user, task: user.ask("POST", f"{QUEUE}/renew", {"holder": "h1", "tasks": [task], "leaseUntil": 9}),
    ],
    ("POST", f"{QUEUES}/tasks/{{task}}"): [
        asked("ready"),
        asked("applied", **OWNED),
        asked("recover", **OWNED),
        asked("note", **OWNED, note={"a": 1}),
        asked("absorb", **OWNED),
        asked("leave", **OWNED, host="shared"),
        asked("join", **OWNED, host="shared"),
        asked("replace", **OWNED, nextAttempt="a1"),
        asked("reserve", **OWNED, settlementId="s", settlement=1),
        asked("finalize", **OWNED, settlementId="s"),
        asked("requeue", **OWNED),
        asked("claim", **OWNED, holder="h1", leaseUntil=1),
        asked("settle", **OWNED),
        asked("drop"),
    ],
    ("POST", f"{QUEUES}/lanes/{{lane}}"): [
        *(
            of_lane(do, lane)
            for do in ("abort", "close", "clear", "open")
            for lane in ("one", "two", "three", "closed")
        ),
    ],
    ("POST", f"{QUEUES}/tasks"): [
        lambda user, task: user.ask("POST", TASKS, {"id": task, "lane": "closed", "payload": "other"}),
        lambda user, task: user.ask("POST", TASKS, {"id": f"new {task}", "lane": "one", "payload": 1}),
    ],
}
"""What each route is asked with, of a task."""


def test_every_route_of_tasks_is_asked() -> None:
    assert {(route.method, route.path) for route in USER_ROUTES if "/queues/" in route.path} == {*QUESTIONS}


async def test_whatever_one_user_asks_of_tasks_the_other_keeps_what_they_have(pair: tuple[Keeper, Keeper]) -> None:
    for asking, other in (pair, pair[::-1]):
        before = await everything(other)
        for questions in QUESTIONS.values():
            for question in questions:
                for task in ("shared", "guest", "late", "ending", "ended"):
                    await question(asking, task)
            assert await everything(other) == before


async def test_a_task_of_another_user_is_one_that_never_was(backend: Backend, pair: tuple[Keeper, Keeper]) -> None:
    alice, _ = pair
    carol = Keeper("carol", "nothing", backend.client_of(f"carol-{new_id()}"), alice.secret)
    for (method, path), questions in QUESTIONS.items():
        for question in questions:
            theirs, never = await question(carol, "shared"), await question(carol, "nope")
            assert theirs.status_code == never.status_code, (method, path)
            if not path.endswith("/tasks"):
                assert theirs.text.replace("shared", "nope") == never.text
    assert (await carol.ask("GET", QUEUE)).json() == {"queue": "agents", "hasOpenTasks": True}  # her own new ones


async def test_one_user_erases_everything_and_the_other_keeps_the_same_tasks(backend: Backend) -> None:
    users = [f"{name}-{new_id()}" for name in ("alice", "bob")]
    alice, bob = (
        Keeper(name, f"secret{place}{new_id()}", backend.client_of(name), "nothing that is there")
        for place, name in enumerate(users)
    )
    await keep(alice)
    await keep(bob)
    before = await everything(bob)
    erased = (await alice.ask("DELETE", f"/api/me?confirm={alice.name}")).json()
    assert erased["tasks"] == 5
    assert [page["tasks"] for page in await everything(alice)] == [[]] * len(VIEWS)
    assert await everything(bob) == before
