"""The record: what happened, in SQLite. Knows nothing of research."""
