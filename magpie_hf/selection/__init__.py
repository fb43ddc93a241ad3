"""Which samples become problems, in one fixed order, and how many more samples are needed.

Never here: making samples, and files.
"""
