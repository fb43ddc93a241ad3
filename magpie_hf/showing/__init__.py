"""Rows of a build on the terminal: found in its files, their formulas in Unicode, laid out for a person."""
