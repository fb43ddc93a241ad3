"""Where stages run, over many shards at once, and how far a build is.

Never here: which stages there are.
"""
