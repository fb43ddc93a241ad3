"""How far labels can be trusted: people's marks on rows, problems with known answers, and their precision.

Never here: finding rows, dropping them, asking a model, and how a browser or a terminal shows them.
"""
