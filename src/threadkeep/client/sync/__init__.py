"""The client that blocks. `scripts/lock` writes it of the one that does not; only `waiting.py` is written by hand."""
