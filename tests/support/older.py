"""Databases that an earlier version made, and what must hold when this version opens them."""

import lzma
import tarfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from support import stores
from support.in_process import as_user
from threadkeep.conversations import cursors
from threadkeep.storage.sql.conversations import users_to_purge
from threadkeep.storage.sql.executor import Executor

API = "/api/conversations"
CURSORS = {"nextCursor", "next", "changes"}
DELETED = f"{API}/01KAGQ3W6ZJ8Y0V4M2T7N5C004"
# What is found, and by how many hits, before anything is indexed again: by the words of each version.
_FOUND = {
    "sparrow": 90,
    "Łódź": 2,
    "naïve numb": 90,
    '"station"': 1,
    "字テ": 1,
    "kestrel": 1,
    "become its title": 2,
    "before": 0,
    "wagtail": 0,
}
_IN_PARTS = (
    *("ostrich", "cassowary", "emu", "rhea", "tinamou", "hoatzin", "kakapo", "takahe", "shoebill", "jabiru", "quetzal"),
)


@dataclass
class Version:
    """An earlier version, which has made databases and left what it ran and exported."""

    name: str
    """The folder in `tests/data/`."""
    migrations: dict[str, int]
    """How many there were by then."""
    at_once: dict[str, int]
    """What is found by how many hits at once."""
    afterwards: dict[str, int]
    """What is found once sweeping is done."""

    @property
    def _folder(self) -> Path:
        return Path(__file__).parents[1] / "data" / self.name

    def unpack(self, name: str, folder: Path) -> None:
        """Put the files that belong to a back end into a folder."""
        with tarfile.open(self._folder / f"{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")

    def statements(self) -> list[list[tuple[str, list[Any], list[list[Any]] | None]]]:
        """The batches that were run by then on SQLite: each statement's text, its values, and what it answered."""
        text = lzma.decompress((self._folder / "statements.json.xz").read_bytes())
        return msgspec.json.decode(text, type=list[list[tuple[str, list[Any], list[list[Any]] | None]]])

    def exported(self, name: str, folder: Path) -> dict[str, list[Any]]:
        """What was exported by then, by user."""
        self.unpack("exports", folder)
        return {user: documents((folder / f"{name}-{user}.ndjson").read_text()) for user in ("ada", "bob")}

    async def answers_as_it_did(self, client: httpx.AsyncClient, name: str, folder: Path) -> None:
        """Fail where a request is answered otherwise than by then: its ids, cursors and digests hold, so a repeat is
        a repeat. `folder` is where its exports are.
        """
        path = folder / f"{name}-asked.json"
        asked = msgspec.json.decode(path.read_bytes()) if path.exists() else []
        assert bool(asked) == (self is BEFORE_PARTS)
        for each in asked:
            body = {} if each["body"] is None else {"json": each["body"]}
            response = await ask(client, each["method"], each["path"], each["user"], **body)
            answer = response.json()
            for field in CURSORS & answer.keys():
                answer[field] = answer[field] and answer[field].removeprefix("~")  # by then they had no mark
            for field in {"changes", "next"} & answer.keys():  # the end of a rev was another place in it
                now, then = (cursors.decode_change(cursor[field]) for cursor in (answer, each["answer"]))
                assert (now.epoch, now.rev) == (then.epoch, then.rev)
                answer[field] = each["answer"][field]
            assert answer.pop("removed", []) == []
            if answer.get("nextCursor") and "messages" in answer:  # it now says that it leads along a path
                now, then = (cursors.start_of_messages(page["nextCursor"]).place for page in (answer, each["answer"]))
                assert now is not None
                assert then is not None
                assert now.seq == then.seq
                answer["nextCursor"] = each["answer"]["nextCursor"]
            for message in answer.get("messages", ()):
                assert message.pop("version", 1) == 1  # by then they had none
                message.pop("follows", None)
            for conversation in (answer, answer.get("conversation", {}), *answer.get("conversations", ())):
                conversation.pop("leafId", None)
                conversation.pop("forkedFrom", None)
            assert answer.pop("branches", []) == []
            assert answer.pop("drafts", []) == []
            assert (response.status_code, answer) == (200, each["answer"]), each["path"]


BEFORE_SEARCH_INDEX_2 = Version(
    "before_search_index_2",
    {"postgres": 2},
    at_once={**_FOUND, "lodz": 0},
    afterwards={**_FOUND, "lodz": 2, "cooperation": 1},
)
BEFORE_PARTS = Version(
    "before_parts",
    {"postgres": 3},
    at_once={**_FOUND, "lodz": 2, "cooperation": 1, **dict.fromkeys(_IN_PARTS, 0)},
    afterwards={**_FOUND, "lodz": 2, "cooperation": 1, **dict.fromkeys(_IN_PARTS, 1)},
)
VERSIONS = [pytest.param(version, id=version.name) for version in (BEFORE_SEARCH_INDEX_2, BEFORE_PARTS)]


def documents(lines: str) -> list[Any]:
    """The documents of an export, without the time at which it was made."""
    made = [msgspec.json.decode(line) for line in lines.splitlines()]
    return [{name: value for name, value in document.items() if name != "exportedAt"} for document in made]


async def holds_what_it_held(
    version: Version,
    client: httpx.AsyncClient,
    before: dict[str, list[Any]],
    bring_over: Callable[[], Awaitable[Any]],
    *,
    sweeps_at_once: bool = False,
) -> None:
    """Fail where anything was lost or is not found, before `bring_over` has swept, meanwhile or afterwards.

    What `sweeps_at_once` may already find more than by its own words.
    """
    assert await exported(client) == before
    at_once = version.at_once
    if sweeps_at_once:
        at_once = {query: hits for query, hits in at_once.items() if version.afterwards[query] == hits}
    assert await found(client, at_once) == at_once
    sent = {"title": "New", "messages": [{"role": "user", "content": [{"type": "text", "text": "a heron in Łódź"}]}]}
    created = (await ask(client, "POST", API, "ada", json=sent)).json()
    await ask(client, "PATCH", f"{API}/01KAGQ3W6ZJ8Y0V4M2T7N5C003", "ada", json={"title": "Renamed to bittern"})
    await ask(client, "POST", f"{DELETED}/restore", "ada")
    changed = {"kestrel": 0, "bittern": 1, "wagtail": 1, "heron": 1, "Łódź": 3}
    if "lodz" in at_once:
        changed |= {"lodz": at_once["lodz"] + 1}
    assert await found(client, at_once | changed) == at_once | changed
    await bring_over()
    changed |= {"lodz": 3}
    assert await found(client, version.afterwards | changed) == version.afterwards | changed
    assert await found(client, {"lodz": 1, "sparrow": 1}, "bob") == {"lodz": 1, "sparrow": 1}
    await ask(client, "DELETE", f"{API}/{created['id']}", "ada")
    await ask(client, "DELETE", DELETED, "ada")
    await ask(client, "PATCH", f"{API}/01KAGQ3W6ZJ8Y0V4M2T7N5C003", "ada", json={"title": "Renamed to kestrel"})
    by_id = {user: {each["conversation"]["id"]: each for each in listed} for user, listed in before.items()}
    after = await exported(client)
    assert {user: {each["conversation"]["id"]: each for each in listed} for user, listed in after.items()} == by_id


async def exported(client: httpx.AsyncClient) -> dict[str, list[Any]]:
    """What each user exports."""
    return {user: documents((await ask(client, "GET", "/api/export", user)).text) for user in ("ada", "bob")}


async def found(client: httpx.AsyncClient, queries: dict[str, int], user: str = "ada") -> dict[str, int]:
    """How many hits each query has."""
    hits = {}
    for query in queries:
        hits[query], cursor = 0, {}
        while True:
            page = (await ask(client, "GET", f"{API}/search", user, params={"q": query, "limit": 100, **cursor})).json()
            hits[query] += len(page["hits"])
            if page["nextCursor"] is None:
                break
            cursor = {"cursor": page["nextCursor"]}
    return hits


async def ask(client: httpx.AsyncClient, method: str, path: str, user: str, **options: Any) -> httpx.Response:
    """Send a request that is answered well."""
    response = await client.request(method, path, headers=as_user(user), **options)
    assert response.is_success, response.text
    return response


async def bring_over(executor: Executor) -> None:
    """Sweep, as purging does on a timer, until there is nobody left for whom that does anything."""
    for _ in range(100):
        users = await users_to_purge(executor, 0, 100)
        if not users:
            break
        for user_id in users:
            await stores.open_sql(executor, user_id).sweep()
    assert users == []
