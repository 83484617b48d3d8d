"""How long texts may be, and how many there are of them: a satellite keeps to it, a gateway refuses what does not."""

from typing import Final

NAME: Final = 200  # characters of a source's, a plan's or an attribute's name
KEY: Final = 500  # characters of a resource's key or name, and of an identity claim
MESSAGE: Final = 4_000  # characters of a message or an attribute's value
ATTRIBUTES: Final = 200  # of a resource or an event
CLAIMS: Final = 64  # of a resource
