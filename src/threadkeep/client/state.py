"""The state of agents that another Threadkeep keeps: one class for each kind, over one transport."""

from threadkeep.client.blobs import RemoteBlobs
from threadkeep.client.journals import RemoteJournals
from threadkeep.client.tasks import RemoteTasks
from threadkeep.client.threads import RemoteThreads


class RemoteState(RemoteJournals, RemoteTasks, RemoteBlobs, RemoteThreads):
    """A `StateStore` over the HTTP API. See `agents/store.py`."""
