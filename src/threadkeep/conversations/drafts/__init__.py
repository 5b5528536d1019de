"""Drafts: messages while they are written. A draft becomes the message, under its id, when it is settled."""
