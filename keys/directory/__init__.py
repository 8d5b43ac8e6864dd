"""The directory: who takes part and with which keys, as a TUF repository whose roles are the States' own."""
