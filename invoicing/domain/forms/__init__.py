"""Forms: parameters, tables and questions, and their mistakes."""
