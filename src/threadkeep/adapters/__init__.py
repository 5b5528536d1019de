"""What frameworks for agents call their stores, over a `StateStore`: served over HTTP, or in a SQLite file."""
