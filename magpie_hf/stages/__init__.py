"""One step of the pipeline in each file: a batch in, the same batch with more columns out.

Never here: the order of the steps, caching, and concrete engines.
"""
