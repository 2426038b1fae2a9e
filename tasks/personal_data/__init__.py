"""What is kept of people: one customer's is exported or erased, and what is old is deleted."""
