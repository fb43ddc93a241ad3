"""vLLM in this process, in both of its forms, reopened when it dies.

Never here: vLLM servers, which are asked over HTTP.
"""
