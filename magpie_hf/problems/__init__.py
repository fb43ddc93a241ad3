"""Tests of a problem's text, alone or against other texts: rules, near-duplicates, benchmarks.

Never here: asking a model, and deciding which problems are accepted.
"""
