"""The client of Threadkeep in Python.

`AsyncClient` and `Client`, which blocks, are for a server; `open_state` is for what an agent keeps, wherever that is.
"""

from threadkeep.client.api.conversations import AsyncConversation
from threadkeep.client.client import AsyncClient
from threadkeep.client.conversations import RemoteStore
from threadkeep.client.opening import open_state
from threadkeep.client.state import RemoteState
from threadkeep.client.sync.client import Client
from threadkeep.client.sync.conversations import Conversation

__all__ = ["AsyncClient", "AsyncConversation", "Client", "Conversation", "RemoteState", "RemoteStore", "open_state"]
