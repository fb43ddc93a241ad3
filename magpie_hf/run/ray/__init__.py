"""Stages on the workers of a Ray cluster.

Never here: starting or sizing a cluster.
"""
