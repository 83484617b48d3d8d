"""What a poll plan that asks the server is to the collector.

The one promise: a plan knows nothing of the inventory but the picture that it is given.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from satellite.collector import Context
from satellite.collectors.vsphere.objects import Picture
from satellite.collectors.vsphere.session import Session
from shared.model import Readings

Measure: TypeAlias = Callable[[Context, Session, Picture], Awaitable[Readings]]
