"""What the house takes for a good problem unless it is told otherwise. Not here: the rules that use it."""

LANGUAGES = ("en", "ja")  # ISO 639-1
NEAR = 0.6  # the share of common words from which two problems with the same symbols are twins; see tests/test_twins.py
SIMILAR = 0.92  # the cosine of two embeddings that says the same
MIN_YIELD = 0.02  # the share of accepted draws below which a build gives up
