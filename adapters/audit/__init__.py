"""Audit without reading: list what was said, verify the whole log, and carry one notice's evidence away in a file."""
