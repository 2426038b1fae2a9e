"""Prefect's part in every step: retries, the run's artifacts, questions to people."""
