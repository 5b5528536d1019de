"""What wrangler runs, by the names that wrangler.toml gives them. It is glue: the Worker is `threadkeep/worker/`."""

import gc

from threadkeep.worker import sdk_patches
from threadkeep.worker.durable_object import UserConversations
from threadkeep.worker.entrypoint import Default

__all__ = ["Default", "UserConversations"]

sdk_patches.leave_what_is_javascripts()

# What importing has left goes now, and is not in the snapshot: among it are files of the runtime that are closed when
# they are collected, and of which nothing is open any more where the snapshot is started.
gc.collect()
