"""The folder of a build: the files that it writes for its users, atomically.

Never here: the Hub.
"""
