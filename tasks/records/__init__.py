"""Salesforce records and the ledger: finding, reading, locking, writing on them."""
