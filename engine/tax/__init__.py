"""The autonomy tax: what is spent on retries, on what comes to nothing, and on hand-offs, out of all that is spent."""
