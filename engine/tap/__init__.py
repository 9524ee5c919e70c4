"""Between an agent and its provider, for accounts that ask for it: what the answers tell of limits and tokens."""
