"""Sampling settings compared with each other on a few dozen samples: `magpie-hf sweep`.

Never here: the sampling values of a build.
"""
