"""What the stand-ins share: a clock, trouble on demand, a request log, serving, a page frame."""
