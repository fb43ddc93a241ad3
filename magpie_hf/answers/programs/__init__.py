"""Programs that a model writes, run where they can do no harm.

Never here: what a program's output is worth as an answer, and models.
"""
