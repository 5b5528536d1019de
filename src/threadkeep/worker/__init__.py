"""What only a Worker runs."""
