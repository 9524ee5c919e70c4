"""Days of work in minutes: whether anything grows that should not."""
