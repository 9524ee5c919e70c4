"""The beginning of a persona of one's own."""

from __future__ import annotations

_TEMPLATE = """\
---
name: {name}
description: {description}
voice: Short and plain. Say what you saw, then what follows from it.
rules:
  - Say what you did not look at.
# agent: claude            # or route: NAME; also model, account, permission
# skills:
#   - code-review-writer-reviewer
# memory: [global, project, persona]    # what is told of memory; off for nothing
# session:                 # when a session of it has served long enough
#   max_context: 0.7
---

What {name} is there for, what it looks at first, and when it is done.
"""


def template(name: str, description: str) -> str:
    """A PERSONA.md to be filled in."""
    quoted = '"' + description.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _TEMPLATE.format(name=name, description=quoted)
