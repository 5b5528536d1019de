"""Everything that holds SQL: statements, the store that runs them, and an executor for each database."""
