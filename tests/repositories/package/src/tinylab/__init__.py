"""Experiments with small networks."""
