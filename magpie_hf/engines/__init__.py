"""What completes prompts and rates texts: token ids in, text and token counts out.

Never here: chat templates, domains and datasets.
"""
