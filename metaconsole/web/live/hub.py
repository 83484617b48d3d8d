"""One listener per process for the news of the live view, and a bounded queue for each stream that wants them.

The one promise: a slow stream costs nobody else anything. News carry no data, so that one waiting is as good as ten:
a stream that wakes late reads the newest values.
"""

import logging
import queue
import threading
from enum import Enum
from typing import Final, TypeAlias

from metaconsole.store.pool import Database, StoreUnavailableError

_log: Final = logging.getLogger(__name__)
_BEAT: Final = 1.0  # seconds between two looks at whether to end
_RETRY: Final = 1.0


class News(Enum):
    """What a stream is told."""

    SAMPLES = "samples"
    END = "end"


Subscription: TypeAlias = "queue.Queue[News]"


class Hub:
    """Hands the notifications of the live reader to the streams of this process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._subscriptions: set[Subscription] = set()
        self._closed = threading.Event()
        self._listener: threading.Thread | None = None

    def subscribe(self) -> Subscription:
        """Return a queue that holds News.SAMPLES after each notification, and News.END at the end."""
        subscription: Subscription = queue.Queue(maxsize=1)
        with self._lock:
            self._subscriptions.add(subscription)
            if self._closed.is_set():
                subscription.put_nowait(News.END)
            elif self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="live news", daemon=True)
                self._listener.start()
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a queue; works twice."""
        with self._lock:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every stream at once; works twice."""
        self._closed.set()
        self._tell(News.END)

    def _tell(self, news: News) -> None:
        with self._lock:
            waiting = list(self._subscriptions)
        for subscription in waiting:
            if news is News.END:
                _empty(subscription)
            if not subscription.full():
                subscription.put_nowait(news)

    def _listen(self) -> None:
        lost = False
        while not self._closed.is_set():
            try:
                for heard in self._database.live_notifications(_BEAT):
                    if lost:
                        _log.info("the notifications of the live view are back")
                        lost = False
                    if self._closed.is_set():
                        return
                    if heard:
                        self._tell(News.SAMPLES)
            except StoreUnavailableError as error:
                if not lost:
                    _log.warning("%s", error)
                lost = True
                self._closed.wait(_RETRY)


def _empty(subscription: Subscription) -> None:
    while not subscription.empty():
        subscription.get_nowait()
