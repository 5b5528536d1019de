"""How the client that blocks waits: what `waiting.py` is to the one that does not."""

import time

sleep = time.sleep
