"""The research: propose, branch, run, judge. Knows nothing of screens."""
