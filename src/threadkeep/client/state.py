"""The state of agents that another Threadkeep keeps: one class for each kind, over one transport."""

from threadkeep.client.journals import RemoteJournals
from threadkeep.client.threads import RemoteThreads


class RemoteState(RemoteJournals, RemoteThreads):
    """A `StateStore` over the HTTP API. See `agents/store.py`."""
