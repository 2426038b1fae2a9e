"""Screen flows, run from their files: the elements that packages here use, and no other."""
