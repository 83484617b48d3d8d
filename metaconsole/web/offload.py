"""Work that would hold up the others: run in gevent's threadpool where gevent runs the site.

The one promise: array work and password hashing never run on gevent's loop.
"""

import sys
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def offload(work: Callable[[], _T]) -> _T:
    """Run work to its end and return what it returns; other requests go on meanwhile."""
    if "gevent.monkey" not in sys.modules:
        return work()
    import gevent
    from gevent import monkey

    if not monkey.is_module_patched("threading"):
        return work()
    result: _T = gevent.get_hub().threadpool.apply(work)
    return result
