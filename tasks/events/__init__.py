"""Events of Stripe and requests of Salesforce: the inbox, its handling, dead letters."""
