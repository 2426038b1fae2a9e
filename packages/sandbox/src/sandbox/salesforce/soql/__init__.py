"""SOQL as the org runs it: read, held to what a query may say, turned into SQL."""
