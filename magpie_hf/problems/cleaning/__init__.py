"""Rules that drop or trim a sampled text, each with the reason code it gives.

Never here: comparing a text with other texts.
"""
