"""Evidence that others wrote: their clients and examples, run against the sandboxes."""
