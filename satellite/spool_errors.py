"""Why the spool can't do what was asked.

The one promise: the message says what, where and how to fix it.
"""


class SpoolError(Exception):
    """The spool can't do what was asked."""


class SpoolFullError(SpoolError):
    """Nothing could be written and nothing was: there is no room. Later appends may succeed."""


class SpoolBrokenError(SpoolError):
    """The disk failed to keep what it was given: the process has to stop, for nothing it says can be trusted."""
