"""What was intended, what was done, what came in: SQLModel tables and their queries."""
