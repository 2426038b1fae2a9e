"""The listener to Salesforce's change events: a request is taken up within a second.

The connection is made from here to there; nothing has to reach us from outside.
"""
