"""The client of Threadkeep in Python: `AsyncClient` for a server, `open_state` for what an agent keeps, wherever."""

from threadkeep.client.client import AsyncClient
from threadkeep.client.conversations import RemoteStore
from threadkeep.client.opening import open_state
from threadkeep.client.state import RemoteState

__all__ = ["AsyncClient", "RemoteState", "RemoteStore", "open_state"]
