"""`valise law`: check a State's law profile, sign it with both of its keys, upload it."""
