"""One execution of a tree: its stages, the supervisor that keeps them, what they cost and what they measured."""
