"""What draws lines, and only those that have changed."""
