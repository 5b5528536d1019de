"""The state of agents that another Threadkeep keeps: one class for each kind, over one transport."""

from threadkeep.client.blobs import RemoteBlobs
from threadkeep.client.journals import RemoteJournals


class RemoteState(RemoteJournals, RemoteBlobs):
    """A `StateStore` over the HTTP API. See `agents/store.py`."""
