"""What a problem is known by, and which accepted problem it repeats.

Never here: the order in which problems are compared.
"""
