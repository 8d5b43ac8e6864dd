"""The blind service: it routes, logs and proves what it cannot read."""
