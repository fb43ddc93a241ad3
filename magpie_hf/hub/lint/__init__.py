"""Checks before the upload: what would fail or mislead in a trainer, on the Hub or in the card.

Never here: repairs.
"""
