"""A local stand-in for Stripe at API version 2026-10-28.endive, spoken to over HTTP."""

API_VERSION = "2026-10-28.endive"
"""The one version whose shapes are served."""
