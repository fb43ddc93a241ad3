"""The folder of a build: what it writes for its users, whole or not at all.

Never here: the Hub.
"""
