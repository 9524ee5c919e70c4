"""Money: prices, the sums of the ledger, its comparison with other books, and budgets."""
