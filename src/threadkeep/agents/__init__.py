"""The state of agents: journals, each a head and an ordered list of entries."""
