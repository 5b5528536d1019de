"""The state of agents that another Threadkeep keeps: one class for each kind, over one transport."""

from threadkeep.client.blobs import RemoteBlobs
from threadkeep.client.journals import RemoteJournals
from threadkeep.client.tasks import RemoteTasks


class RemoteState(RemoteJournals, RemoteBlobs, RemoteTasks):
    """A `StateStore` over the HTTP API. See `agents/store.py`."""
