"""Salesforce's side: objects and fields, an org's own names, queries."""
