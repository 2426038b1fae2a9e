"""The endpoint that takes Stripe's webhooks."""
