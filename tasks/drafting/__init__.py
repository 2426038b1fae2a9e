"""Making drafts in Salesforce and changing them, before Stripe hears of them."""
