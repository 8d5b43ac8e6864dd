"""The gateway's plain REST interface for agency systems: bytes in, problems or documents out; no decision is made here."""
