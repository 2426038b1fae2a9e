"""Whether everything that this project needs is there: one check for each precondition.

Nothing here changes anything, and nothing here fails: what cannot be found out is a finding, too.
"""
