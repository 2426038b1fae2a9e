"""After sending: void, write off, payments by hand, credit notes, replacement."""
