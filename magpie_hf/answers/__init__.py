"""Final answers: extracted from a solution, compared with each other, counted as votes.

Never here: columns of a dataset; this folder knows texts and verdicts only.
"""
