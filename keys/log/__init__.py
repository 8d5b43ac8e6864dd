"""The ledger's hashes, tiles, signed notes and proofs: for broker, gateway, auditor and witness alike."""
