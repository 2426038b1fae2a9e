"""Clients of the services: auth, time limits, errors in our words."""
