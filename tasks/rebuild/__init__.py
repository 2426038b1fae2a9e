"""What the ledger must know, read again in Stripe and Salesforce after the ledger was lost."""
