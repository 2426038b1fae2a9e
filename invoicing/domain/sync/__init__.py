"""Both sides compared."""
