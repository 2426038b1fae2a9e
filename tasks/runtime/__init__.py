"""What every step needs of Prefect: retries, the run's own page, questions to people."""
