"""Adapters: what agent frameworks call their store, over ours. Each needs the extra of its name."""
