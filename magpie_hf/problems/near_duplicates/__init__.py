"""The signature of a problem, and which accepted problem it repeats.

Never here: the order in which problems are compared.
"""
