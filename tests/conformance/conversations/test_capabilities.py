"""A back end claims what it can do, and nothing else; and what it does not claim is refused before it is asked."""

import re
from typing import Any

import httpx
import pytest
from in_worker.entries.probes import PROBES, able

from support.backends import Backend
from support.in_process import VARIABLES, ApiTransport, as_user
from support.stores import new_memory
from threadkeep.conversations.models import Changes, HitPage
from threadkeep.conversations.records import ImportRecord, MessageRecord, SearchQuery
from threadkeep.conversations.store import Store
from threadkeep.errors import ThreadkeepError, Unsupported
from threadkeep.http.api import Api
from threadkeep.http.routes import ROUTES
from threadkeep.ids import new_id
from threadkeep.settings import Settings
from threadkeep.storage.backends import Choice, named
from threadkeep.storage.base import CAPABILITIES, Capability
from threadkeep.storage.memory import Memory
from threadkeep.storage.memory.store import MemoryStore

pytestmark = pytest.mark.anyio

QUERIES = {"search": {"q": "word"}, "deltas": {"channels": "[]"}}
"""What a route has to be asked with, by how its path ends."""
STATUS = "/api/conversations/status"


def check_claims(claimed: list[Capability], found: list[Capability]) -> None:
    """Fail where a back end claims what it lacks, or does not claim what it has."""
    lacking, unclaimed = set(claimed) - set(found), set(found) - set(claimed)
    assert not lacking, f"It claims {', '.join(sorted(lacking))}, and lacks it."
    assert not unclaimed, f"It has {', '.join(sorted(unclaimed))}, and does not claim it."


async def test_a_back_end_claims_what_it_can_do_and_nothing_else(backend: Backend) -> None:
    status = (await backend.client.get(STATUS, headers=as_user("ada"))).json()
    object_ = named(status["store"])
    assert status["capabilities"] == [each for each in CAPABILITIES if each in object_.capabilities]
    check_claims(status["capabilities"], await backend.able(f"user-{new_id()}"))


class WithoutSearch(MemoryStore):
    """A store that finds nothing."""

    async def search(self, query: SearchQuery, *, cursor: str | None = None, limit: int = 20) -> HitPage:
        return HitPage([], None)


class WithoutChanges(MemoryStore):
    """A store that does not know what has changed."""

    async def changes(self, since: str | None = None, *, limit: int = 200) -> Changes:
        raise Unsupported("It does not know.")


class WithoutImport(MemoryStore):
    """A store that keeps no times but its own."""

    async def import_conversations(self, records: list[ImportRecord]) -> list[ThreadkeepError | None]:
        raise Unsupported("It has times of its own.")


class WithoutTransactions(MemoryStore):
    """A store that keeps one message after the other."""

    async def append_messages(
        self, conversation_id: str, messages: list[MessageRecord], *, expected_message_count: int | None = None
    ) -> Any:
        return [await super(WithoutTransactions, self).append_messages(conversation_id, [each]) for each in messages]


class WithoutAgents(MemoryStore):
    """A store that keeps no state of agents."""

    @property
    def state(self) -> Any:
        raise Unsupported("It keeps conversations alone.")


LESSER: dict[Capability, type[MemoryStore]] = {
    "search": WithoutSearch,
    "changes": WithoutChanges,
    "import": WithoutImport,
    "transactions": WithoutTransactions,
    "agents": WithoutAgents,
}


def test_each_capability_has_a_probe_and_a_store_that_lacks_it() -> None:
    assert set(PROBES) == set(LESSER) == set(CAPABILITIES)


@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_a_claim_of_what_is_lacking_is_found_and_so_is_what_is_not_claimed(capability: Capability) -> None:
    found = await able(LESSER[capability](new_memory(), "ada"))
    others = [each for each in CAPABILITIES if each != capability]
    check_claims(others, found)
    with pytest.raises(AssertionError, match=f"It claims {capability}, and lacks it"):
        check_claims(list(CAPABILITIES), found)
    with pytest.raises(AssertionError, match=f"It has {capability}, and does not claim it"):
        check_claims(others, await able(MemoryStore(new_memory(), "ada")))


@pytest.mark.parametrize("route", [route for route in ROUTES if route.needs is not None], ids=lambda route: route.path)
async def test_what_a_back_end_does_not_claim_is_refused_before_its_store_is_opened(route: Any) -> None:
    class Lesser(Memory):
        """Memory, which claims all but this."""

        capabilities = Memory.capabilities - {route.needs}

    async def open_store(user_id: str) -> Store:
        raise AssertionError("nobody has to be asked")

    api = Api(Settings.read(VARIABLES.get), Choice("memory", Lesser(), "The test chose it."))
    transport = ApiTransport(api, open_store)
    async with httpx.AsyncClient(base_url="http://threadkeep", transport=transport, headers=as_user("ada")) as client:
        assert route.needs not in (await client.get(STATUS)).json()["capabilities"]
        path = re.sub(r"\{\w+\}", "n", route.path)
        refused = await client.request(route.method, path, params=QUERIES.get(route.path.rpartition("/")[2], {}))
        assert (refused.status_code, refused.json()["error"]["code"]) == (501, "unsupported")
        assert f"The back end memory does not support {route.needs}." in refused.json()["error"]["message"]
