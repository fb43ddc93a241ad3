"""A build: all stages over all domains, from seeds to one DatasetDict per configuration.

Never here: what a stage does, how its results are cached, and the layout of files.
"""
