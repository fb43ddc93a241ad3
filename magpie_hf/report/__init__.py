"""A finished or running build as one HTML page.

Never here: numbers that are not counted in the build's own files.
"""
