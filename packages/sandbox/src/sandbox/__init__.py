"""Local stand-ins for Stripe and Salesforce, spoken to over HTTP."""
