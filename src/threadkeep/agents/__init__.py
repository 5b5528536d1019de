"""The state of agents: journals, tasks, blobs and threads. `store.py` is the contract of whoever keeps them."""
