"""Bringing one record in step with Stripe."""
