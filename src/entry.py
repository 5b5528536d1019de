"""What wrangler runs, by the names that wrangler.toml gives them. It is glue: the Worker is `threadkeep/worker/`."""

from threadkeep.worker import sdk_patches
from threadkeep.worker.durable_object import UserConversations
from threadkeep.worker.entrypoint import Default

__all__ = ["Default", "UserConversations"]

sdk_patches.leave_what_is_javascripts()
