"""How many files the gateway may open: a session is one, and systems begin with a limit of about a thousand.

The one promise: the limit that the administrator set (the hard one) is never exceeded, only used.
"""

import resource


def use_file_limit() -> int:
    """Raise the soft limit of open files to the hard one, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
