"""The endpoint that takes Stripe's webhooks: one file for each part of its work.

``account_paths`` (which account is meant), ``verification`` (what is accepted),
``batch_writer`` (writing down), ``metrics``,
``app`` (all of it together), ``server`` (processes and sockets).
"""
