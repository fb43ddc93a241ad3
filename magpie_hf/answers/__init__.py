"""Final answers: extracted from a solution, compared, counted as votes; a sandbox for programs.

Never here: columns of a dataset; this folder knows texts and verdicts only.
"""
