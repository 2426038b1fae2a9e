"""A faithful local stand-in for one Salesforce org (API v67.0)."""
