"""Retryable steps, grouped by the system that they touch."""
