"""Final answers: extracted from a solution, compared, counted as votes; a sandbox for programs that compute them.

Never here: columns of a dataset; this folder knows texts and verdicts only.
"""
