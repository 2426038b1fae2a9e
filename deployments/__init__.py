"""How it is run: the worker, the local stack, the Salesforce package."""
