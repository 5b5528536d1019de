"""SQLite: a file, D1, and the database inside a Durable Object."""
