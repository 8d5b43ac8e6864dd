"""Where private keys rest: sealed files, sealed cells of a store, sealed backups."""
