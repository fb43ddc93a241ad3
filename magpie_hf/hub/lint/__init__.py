"""What a trainer, the Hub or a reader of the card would trip over, found before the upload.

Never here: mending it.
"""
