"""The broker's HTTP interface: thin, strict, and never an echo of what came in (design: api)."""
