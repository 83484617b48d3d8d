"""What both ends agree on: the model, the metric catalogue, the column codec, the wire contract, TLS and clocks."""

__version__ = "0.2.0.dev0"
