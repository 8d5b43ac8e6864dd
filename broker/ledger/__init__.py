"""The ledger: records in an order, the tree that they make, and who signs it. Each file says which stores it trusts."""
