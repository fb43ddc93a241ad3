"""Models behind vLLM servers: one queue over many servers, with a bound for each.

Never here: starting a server.
"""
