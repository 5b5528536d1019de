"""Threads, each the checkpoints of a graph with their values and pending writes: what LangGraph's savers keep."""
