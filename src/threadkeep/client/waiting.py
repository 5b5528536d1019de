"""How the client waits. `sync/waiting.py` is the same for the one that blocks."""

import anyio

sleep = anyio.sleep
