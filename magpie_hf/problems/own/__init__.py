"""Problems that one has: which they are, and reading them from files and the Hub.

Never here: sampling problems, and dropping any but empty ones and exact doubles.
"""
