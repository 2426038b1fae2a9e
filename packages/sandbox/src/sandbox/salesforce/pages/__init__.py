"""What people see of the org: pages, lists and dialogues, as the package describes them."""
