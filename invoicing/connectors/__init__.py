"""Clients of the services: auth, time limits, errors translated into this project's."""
