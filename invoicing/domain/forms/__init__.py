"""What people type: parameters, tables, questions, and what is wrong with them."""
