"""The ways in which a build or a publication fails.

Not here: what a model got wrong, which is data in a column.
"""


class BadInput(ValueError):
    """A user's mistake, in one line: the state, the value, the remedy. The command line prints it and exits
    with 2.
    """


class Torn(BadInput):
    """A record in a build's folder that cannot be read, such as a power cut leaves it; a build writes it
    anew.
    """


class EngineError(RuntimeError):
    """An engine could not be started, or died with requests in flight."""


class NothingMade(RuntimeError):
    """A build came to its end without a single row to publish; the message says where the rows went."""


class LowYield(NothingMade):
    """So few samples of a domain are accepted that a build would be hopeless; the message says why they are
    not, with examples.
    """


class HubError(RuntimeError):
    """The Hub refused something or could not be reached, again and again; the message says at which step, in
    one line.
    """
