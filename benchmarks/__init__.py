"""Measurements of the whole project: `python -m benchmarks <name>`."""
