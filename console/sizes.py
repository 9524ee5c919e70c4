"""Every number of cells that decides a layout, named once."""

from __future__ import annotations

#: Below this the screens say what they need instead of drawing something unreadable.
LEAST = (60, 16)

#: Columns from which the table and the worker panes stand side by side; below, one above the other.
SIDE_BY_SIDE = 100

#: Columns from which a list has its preview at its right, of so many cells; and rows from which it has one below.
PREVIEW_RIGHT = 160
PREVIEW_BELOW = 30

#: Rows of a body from which everything is shown at once.
TALL = 46

#: Columns from which words stand beside glyphs in the status line.
WORDS = 110

#: Least cells of one worker pane, its header line included.
PANE_LEAST = (44, 6)
PANE_LEAST_STACKED = (60, 4)
PANES_MOST = 24

#: Characters of one line of an agent's output that are kept: longer ones stall every viewer.
LINE_MOST = 2_000

#: Lines kept in a live pane, in the log of one job, and in a diff.
PANE_LINES = 400
LOG_LINES = 5_000
DIFF_LINES = 20_000

#: The table's pages: rows in one, and how many are kept.
PAGE_ROWS = 128
PAGES_KEPT = 64
