"""Pure rules of invoices, money and state: no I/O and no clock."""
