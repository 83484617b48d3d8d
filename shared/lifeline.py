"""A child's lifeline: a pipe whose writing end only the parent holds. When the parent is gone, the child ends.

This works after SIGKILL of the parent, needs no polling and no process groups.
"""

import os
import signal
import threading

GRACE = 8.0  # seconds between the polite signal and the end


def watch(descriptor: int) -> None:
    """End this process soon after the pipe whose reading end is descriptor reports end of file.

    The process gets SIGTERM first, and ends hard GRACE seconds later if it still runs.
    """
    threading.Thread(target=_wait, args=(descriptor,), name="lifeline", daemon=True).start()


def _wait(descriptor: int) -> None:
    while os.read(descriptor, 64):
        continue  # nothing is ever written; end of file is the message
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE)
    os._exit(1)
