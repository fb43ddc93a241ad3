"""Problems whose answers are known, because code computed them.

Never here: models, and what becomes of the problems in a build.
"""
