"""Rules that drop or trim a sampled text, each with its reason code.

Never here: comparing a text with other texts.
"""
