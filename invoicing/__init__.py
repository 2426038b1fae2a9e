"""Invoices across Salesforce and Stripe: everything that would be the same without Prefect."""
