"""Models behind vLLM servers: one queue over many of them, and what each can take.

Never here: starting a server.
"""
