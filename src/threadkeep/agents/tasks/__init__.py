"""Tasks: a queue of work with lanes, where whoever claims a task holds it by a lease."""
