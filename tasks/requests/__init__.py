"""What people ask for in Salesforce: taken up, and answered where they asked."""
