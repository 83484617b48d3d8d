"""Faults as tests: the accounting is exact whatever is killed, cut or corrupted."""
