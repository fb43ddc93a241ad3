"""Problems whose answers are known, and what a solver's votes on them are worth.

Never here: asking a model.
"""
