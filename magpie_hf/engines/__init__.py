"""Engines: they complete prompts and rate texts, with token ids in, and text and token counts out.

Never here: chat templates, domains and datasets.
"""
