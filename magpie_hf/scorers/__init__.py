"""What orders the candidates of a problem: a judge that rates, or a reward model.

Never here: which candidates become a pair.
"""
