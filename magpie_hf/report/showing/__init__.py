"""Rows of a build on the terminal.

Never here: the HTML page.
"""
