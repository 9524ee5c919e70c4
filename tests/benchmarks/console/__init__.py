"""What the console costs a line, a core and a memory, through a real pseudo-terminal."""
