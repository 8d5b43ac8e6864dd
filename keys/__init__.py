"""All cryptography and trust: the only importer of `cryptography` and `tuf`."""
