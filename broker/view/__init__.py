"""The view: what the ledger's records say, arranged for those who ask; disposable, and rebuilt from the ledger."""
