"""Scorers: a judge or a reward model that scores the candidates of a problem.

Never here: which candidates become a pair.
"""
