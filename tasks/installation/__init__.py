"""What an installation needs, in Prefect's server above all, and whether it is there."""
