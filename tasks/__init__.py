"""Retryable steps, in packages by the part of an invoice's life that they belong to."""
