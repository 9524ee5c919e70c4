"""One file a widget. None of them has a timer of its own: the app's beat calls the screen, the screen its widgets."""
