"""Whether a Salesforce package in source format holds together, as far as that shows offline."""
