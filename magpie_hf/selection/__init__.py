"""Which samples become problems, filtered in one fixed order, and how many samples are still needed.

Never here: making samples, and files.
"""
