"""Benchmarks by name, pinned and loaded, and which of their rows a problem repeats.

Never here: any benchmark's text.
"""
