"""A finished or running build to look at: as one HTML page, and row by row on a terminal.

Never here: numbers that are not counted in the build's own files.
"""
