"""Events of Stripe: the inbox, its handling, dead letters."""
