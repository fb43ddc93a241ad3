"""What changed between two builds, or between two revisions of a dataset on the Hub.

Never here: making rows, and publishing them.
"""
