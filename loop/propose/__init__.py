"""Where proposals come from, and what lets one in."""
