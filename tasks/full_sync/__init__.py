"""Comparing every invoice on both sides, and repairing what differs."""
