"""From texts to vectors. Nothing here is loaded before the first text is to be embedded."""
