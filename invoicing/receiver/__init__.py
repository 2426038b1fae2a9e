"""The endpoint that takes Stripe's webhooks: one file for each part of its work.

``endpoints`` (which account is meant), ``request`` (what is accepted), ``intake`` (writing
down), ``bell`` (starting the handler), ``metrics``, ``app`` (all of it together), ``server``
(processes and sockets).
"""
