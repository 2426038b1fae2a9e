"""Put Raise Invoice and the list of invoices onto an org's own pages of Account and Opportunity."""
