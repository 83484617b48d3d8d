"""The benchmark of DESIGN §9: what runs, what it is measured against, and the figures as bench.json."""
