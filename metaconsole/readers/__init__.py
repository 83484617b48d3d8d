"""Readers of the log, each with a durable position that moves in the transaction of its output."""
