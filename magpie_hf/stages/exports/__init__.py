"""Exports: rows with all their columns -> the published rows of one split.

Never here: files, and which answers are published.
"""
