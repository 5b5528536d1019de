"""What a model is sent of a conversation: its messages in the form of a provider, with calls and results that pair.

A stored message is read into parts, whichever SDK it came from (`reading.py`, and one file for each family of blocks);
calls are paired with their results (`pairing.py`); and the parts are written in one dialect (`anthropic.py`,
`openai_chat.py`, `openai_responses.py`). `view.py` puts these together, and `service.py` reads the store. Nothing here
ever changes what is stored.
"""
