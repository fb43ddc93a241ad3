"""One command in each file, and what several commands share.

Never here: the work itself.
"""
