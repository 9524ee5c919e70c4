"""The beginning of a skill, for its writer to fill in."""

from __future__ import annotations


def template(name: str, description: str) -> str:
    """A whole SKILL.md that passes the validator as it is."""
    quoted = description.replace("\\", "\\\\").replace('"', '\\"')
    title = name.replace("-", " ").capitalize()
    return _FORM.format(name=name, description=" ".join(quoted.split()), title=title)


_FORM = """---
name: {name}
description: "{description}"
---

# {title}

One sentence: what is true when this was done well.

## Steps

1. `command`: what to look for in what it prints.

## Traps

- What looks right and is wrong, and how to tell.

## Output

What to write down, and in which form.

## Done when

- What can be checked, and by which command.
"""
