"""From draft to the customer: approval, Stripe's draft, finalization, e-mail, reminders."""
