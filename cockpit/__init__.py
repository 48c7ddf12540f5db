"""The face: command line, batch, and what they print."""
