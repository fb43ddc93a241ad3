"""Running stages over many shards at once, here or on a cluster, and how far a build is.

Never here: which stages there are.
"""
