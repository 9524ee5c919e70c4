"""How many agents one engine can follow, and what that costs it."""
