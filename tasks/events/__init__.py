"""What Stripe and Salesforce report: the inbox, its handling, and what it could not handle."""
