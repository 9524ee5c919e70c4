"""What a job is told: whether it goes on in its conversation, and what a new one is handed of the old."""
