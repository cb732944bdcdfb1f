"""LION over HTTP: chat completions as OpenAI's clients speak them, and a route for each verb.

Nothing is imported here: the processes that decode pictures load :mod:`lion.serve.pixels` alone, without torch.
"""
