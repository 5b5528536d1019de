"""Which back end some settings choose, and what is said of it."""

from typing import Any, NamedTuple

import httpx
import pytest

from support.in_process import as_user

STATUS = "/api/conversations/status"
DEVELOPMENT = {"ENVIRONMENT": "development"}
AGENTSTATE = {"AGENTSTATE_API_KEY": "as_live_0123456789"}
FIRST = "It is the first of those that are set up."
ASKED = "AGENT_CONVERSATION_STORE asks for it."


def asks_for(store: str) -> dict[str, str]:
    return {"AGENT_CONVERSATION_STORE": store}


class Row(NamedTuple):
    """What is set up, and what the status says to somebody who is signed in."""

    variables: dict[str, str]
    store: str | None
    """None where none could be chosen, and every call but the status answers 503."""
    reason: str
    bindings: tuple[str, ...] = ()


async def check(client: httpx.AsyncClient, row: Row) -> None:
    """Hold the status, and every other call, to what the row says."""
    requested = row.variables.get("AGENT_CONVERSATION_STORE") or row.variables.get("CONVERSATION_STORE_BACKEND")
    answer = await client.get(STATUS, headers=as_user("ada"))
    status = answer.json()
    assert (answer.status_code, status["store"]) == (200, row.store)
    assert status["enabled"] == (row.store not in (None, "local"))
    assert status["persistent"] == (row.store not in (None, "local", "memory"))
    assert row.reason in status["reason"]
    assert "hunter" not in answer.text
    health = await client.get("/api/health")
    if row.store is None:
        for response in (health, await client.get("/api/conversations", headers=as_user("ada"))):
            assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
            assert response.json()["error"]["message"] == status["reason"]
    else:
        assert status["requestedStore"] == (requested or "auto")
        assert (health.status_code, health.json()["store"]) == (200, row.store)
        nobody = (await client.get(STATUS)).json()
        assert (nobody["enabled"], nobody["store"], nobody["persistent"]) == (False, "local", False)
    if row.store == "local":
        assert (await client.get("/api/conversations", headers=as_user("ada"))).status_code == 501


def cases(rows: dict[str, Row]) -> Any:
    return pytest.mark.parametrize("row", [pytest.param(row, id=case) for case, row in rows.items()])
