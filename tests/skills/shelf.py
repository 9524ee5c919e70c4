"""Skills in folders, for tests."""

from __future__ import annotations

from pathlib import Path


def write_skill(
    folder: Path, name: str, description: str = "Does it. Use when it is asked.", body: str = "Do it.", more: str = ""
) -> Path:
    """A skill in a folder of skills; the skill's own folder."""
    skill = folder / name
    skill.mkdir(parents=True, exist_ok=True)
    (skill / "SKILL.md").write_text(f'---\nname: {name}\ndescription: "{description}"\n{more}---\n\n{body}\n')
    return skill
