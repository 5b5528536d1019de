"""The Worker in which nobody waits for whoever has a large body before them."""

from threadkeep.worker import turnstile

turnstile._WAIT_MILLISECONDS = 0

from entry import *  # noqa: E402, F403
from entry import Default, UserConversations  # noqa: E402, F401
