"""The command `threadkeep`."""
