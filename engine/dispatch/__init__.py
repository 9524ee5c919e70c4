"""What runs next, where, and why not. Decisions are pure; the loop around them reads, asks and writes."""
