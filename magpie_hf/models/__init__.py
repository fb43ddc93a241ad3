"""What a model is, read from its own files: chat format, reward head, size, licence, sampling values.

Never here: running one; nothing in this folder loads weights.
"""
