"""What an attempt is given in its workspace: put where its agent looks, and taken away again.

What was put where is written into the run directory first, so that any engine can take it away, also one that comes
after a `kill -9`. Only into a workspace that is the job's own: in the user's own checkout, and for an agent that does
not look for skills, they are told in the prompt. Nothing that is there already is touched: of two of one name, that
of the project or of the user stands.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.agents.base import Agent
from engine.briefing import Detail, Omitted, Part
from engine.config import Settings
from engine.context.assembly import Fitted
from engine.context.skills import NAMED, skills_for, text_of, wish_of
from engine.errors import RefusedError
from engine.model import JobSpec
from engine.runner import exclude, placing, sheets
from engine.runner.git import GitError, git
from engine.runner.placing import OURS
from engine.runner.run_dir import RunDir, read_regular
from engine.runner.sheets import Sheet
from engine.runner.workspace import Placed
from engine.skills.choosing import Choice, Chosen, choose
from engine.skills.contents import File, digest, read_files
from engine.skills.prompting import Page, given_text, named_line
from engine.skills.reading import BadSkillError, read_document
from engine.skills.skill import FILE, Given, How

logger = logging.getLogger(__name__)

KIT = "kit.json"
KIT_BYTES = 1 << 20
TOLD_BEFORE = "its session was told it when it began"
STAGE = "kit"  #: in the run directory: where a skill is made, before it is moved into its place
CHANGED = "skills"  #: in the run directory: what the agent changed of a skill


class Kit(Struct, frozen=True, omit_defaults=True):
    """What an attempt was given, and what of it lies in its workspace."""

    given: list[Given] = msgspec.field(default_factory=list)
    placed: dict[str, str] = msgspec.field(default_factory=dict)
    """Folder -> digest of what was put there."""
    made: list[str] = msgspec.field(default_factory=list)
    """Folders that had to be made for them, the deepest last."""
    sheet: str = ""
    """The file with what holds for the whole conversation."""
    root: str = ""
    """The top of the workspace."""
    exclude: str | None = None
    marker: str = ""


@dataclass(slots=True)
class Packing:
    """One attempt's skills, once it is decided how each is given. Nothing of it is written yet."""

    given: list[Given] = field(default_factory=list)
    places: dict[str, list[File]] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    native: list[str] = field(default_factory=list)
    """Those that the agent finds by itself."""

    @property
    def named(self) -> list[str]:
        """Of those, the ones that the job names."""
        return [name for name in self.native if any(one.name == name and one.reason == NAMED for one in self.given)]

    def fit(self, room: int, *, resumes: bool) -> Fitted:
        """What the prompt says of them, within so many tokens."""
        text, notes = ("", {page.name: TOLD_BEFORE for page in self.pages}) if resumes else given_text(self.pages, room)
        details = [
            Detail(what=one.name, tokens=one.tokens, reason=f"{one.reason}, {_how(one)}", score=one.score)
            for one in self.given
            if one.how is not How.LEFT_OUT
        ]
        left = [
            Omitted(part=Part.SKILLS, what=one.name, why=one.note, tokens=one.tokens)
            for one in self.given
            if one.how is How.LEFT_OUT
        ]
        left += [
            Omitted(part=Part.SKILLS, what=name, why=note) for name, note in notes.items() if note is not TOLD_BEFORE
        ]
        return Fitted("\n\n".join(filter(None, (text, named_line(self.named)))), details, left, notes)


def _how(one: Given) -> str:
    words = {How.NATIVE: "where its agent looks", How.PROMPT: "in the prompt", How.OWN: "the project's or your own"}
    return words.get(one.how, str(one.how))


@dataclass(frozen=True, slots=True)
class Order:
    """For whom skills are packed. `own`: the workspace is the job's own; `env`: what the agent will see."""

    spec: JobSpec
    title: str
    project: str | None
    agent: Agent
    placed: Placed
    own: bool
    resumes: bool
    env: Mapping[str, str]


async def pack(order: Order, settings: Settings) -> Packing:
    """Choose an attempt's skills, and decide how each is given.

    Raises `RefusedError` where one that the job names cannot be given any more.
    """
    wish = wish_of(order.spec, order.project, settings)
    if not order.agent.takes_skills or not (wish.named or wish.match):
        return Packing()
    found = await asyncio.to_thread(skills_for, order.project, settings)
    choice = choose(wish, text_of(order.spec, order.title), found)
    return await asyncio.to_thread(_pack, order, choice)


async def put(
    placed: Placed, run: RunDir, marker: str, packing: Packing, notes: Mapping[str, str], file: Sheet | None = None
) -> None:
    """Put skills, and the file with what holds for the whole conversation, where the agent looks; and note it."""
    given = [replace(one, note=notes.get(one.name, one.note)) for one in packing.given]
    kit = Kit(given, marker=marker)
    if packing.places or file is not None:
        kit = await _place(placed, run, packing, kit, file)
    note_kit(run, kit)


def read_kit(run: RunDir) -> Kit | None:
    """What an attempt was given; None where it was given nothing."""
    try:
        return msgspec.json.decode(read_regular(run.path / KIT, KIT_BYTES) or b"", type=Kit)
    except (UnicodeDecodeError, msgspec.MsgspecError):
        return None


def note_kit(run: RunDir, kit: Kit) -> None:
    if kit.given or kit.sheet:
        (run.path / KIT).write_bytes(msgspec.json.encode(kit))


async def take_away(run: RunDir) -> None:
    """Leave the workspace as it would be without skills, and what else was put there. Does nothing a second time."""
    try:
        await asyncio.to_thread(placing.take_away, run)
    except OSError as error:
        logger.warning("files of %s stay in its workspace: %s", run.path, error)
    kit = read_kit(run)
    if kit is None or not (kit.placed or kit.sheet):
        return
    try:
        await asyncio.to_thread(_take_away, run, kit)
    except OSError as error:
        logger.warning("the skills of %s stay in its workspace: %s", run.path, error)


def _take_away(run: RunDir, kit: Kit) -> None:
    """The file that says what to remove lies where the agent could write: it is believed of our own folders alone."""
    home, root = run.path.parents[2], Path(kit.root)
    if not any(root.is_relative_to(home / ours) and root != home / ours for ours in OURS):
        logger.warning("%s names %s, which is no workspace of this home", run.path / KIT, root)
        return
    for place, was in kit.placed.items():
        folder = Path(place)
        if not _leads(folder, root):
            continue  # the agent removed it, or put something of its own there
        if _is_as(folder, was):
            shutil.rmtree(folder)
        else:
            kept = _free(run.path / CHANGED / folder.name)
            _move(folder, kept)
            logger.info("what the agent changed of the skill %s is kept in %s", folder.name, kept)
    if kit.sheet and _leads(Path(kit.sheet).parent, root, itself=True):
        sheets.take_away(Path(kit.sheet), run.path / CHANGED)
    for made in reversed(kit.made):
        path = Path(made)
        if _leads(path, root) and not any(path.iterdir()):
            path.rmdir()
    if kit.exclude is not None and Path(kit.exclude).parts[-2:] == ("info", "exclude"):
        exclude.remove(Path(kit.exclude), kit.marker)
    note_kit(run, Kit(kit.given, marker=kit.marker))


def _leads(folder: Path, root: Path, *, itself: bool = False) -> bool:
    """Whether it is a folder below the workspace (or `itself` that), and no link on the way leads out of it."""
    if ".." in folder.parts or not folder.is_relative_to(root) or (folder == root and not itself):
        return False
    way = (folder, *(part for part in folder.parents if part.is_relative_to(root) and part != root))
    return folder.is_dir() and not any(part.is_symlink() for part in way)


def _free(path: Path) -> Path:
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _move(source: Path, target: Path) -> None:
    """In one step; where that is another file system, by a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copytree(source, target, symlinks=True)
        shutil.rmtree(source)


def _is_as(folder: Path, was: str) -> bool:
    try:
        return digest(read_files(folder)) == was
    except (BadSkillError, OSError):
        return False


def _pack(order: Order, choice: Choice) -> Packing:
    """Decide how each skill is given, and read it. Nothing is written yet."""
    for name, wrong in choice.missing:
        if name in order.spec.skills:
            raise RefusedError(f"the job's skill {name!r} cannot be given: {wrong}")
    packing = Packing()
    for one in choice.chosen:
        _pack_one(order, one, packing)
    for one, why in choice.left_out:
        packing.given.append(_given(one, How.LEFT_OUT, note=why))
    for name, wrong in choice.missing:
        packing.given.append(Given(name=name, how=How.LEFT_OUT, reason="its project always gives it", note=wrong))
    return packing


def _pack_one(order: Order, one: Chosen, packing: Packing) -> None:
    skill = one.skill
    try:
        files = read_files(Path(skill.folder))
        body = read_document(next((file.data for file in files if file.name == FILE), b"")).body
    except (BadSkillError, OSError) as error:
        packing.given.append(_given(one, How.LEFT_OUT, note=f"it cannot be read any more: {error}"))
        return
    sha256 = digest(files)
    others = tuple(file.name for file in files if file.name != FILE)
    folders = [order.placed.directory / below for below in order.agent.skill_folders]
    if not folders:
        # A model that is only asked reads no file; what is said of one would be noise.
        place = skill.folder if order.agent.effects else None
        packing.pages.append(Page(skill.name, skill.description, body, place, others))
        packing.given.append(_given(one, How.PROMPT, sha256))
        return
    if (theirs := _theirs(order, skill.name, folders)) is not None:
        packing.native.append(skill.name)
        packing.given.append(_given(one, How.OWN, note=f"that of the same name stands: {theirs}", used=False))
        return
    if why := _no_place(order, folders):
        packing.pages.append(Page(skill.name, skill.description, body, skill.folder, others))
        packing.given.append(_given(one, How.PROMPT, sha256, note=why))
        return
    for folder in folders:
        packing.places[str(folder / skill.name)] = files
    packing.native.append(skill.name)
    packing.given.append(_given(one, How.NATIVE, sha256, used=False))


def _given(one: Chosen, how: How, sha256: str = "", *, note: str = "", used: bool | None = None) -> Given:
    return Given(
        name=one.skill.name,
        how=how,
        reason=one.reason,
        source=one.skill.source,
        sha256=sha256 or one.skill.sha256,
        tokens=one.skill.tokens,
        score=one.score,
        note=note,
        used=used,
    )


def _theirs(order: Order, name: str, folders: list[Path]) -> Path | None:
    """What has the name already where the agent looks."""
    personal = [Path(one) for one in order.agent.personal_skills(order.env)]
    return next((place / name for place in (*folders, *personal) if os.path.lexists(place / name)), None)


def _no_place(order: Order, folders: list[Path]) -> str:
    """Why nothing may be put into the workspace; empty where it may."""
    if not order.own:
        return "it works in your own directory, where nothing is put: it was told in the prompt"
    root = order.placed.root or order.placed.directory
    for folder in folders:
        for part in (folder, *folder.parents):
            if part == root:
                break
            if part.is_symlink() or (part.exists() and not part.is_dir()):
                return f"{part.relative_to(root)} is no folder of its workspace: it was told in the prompt"
    return ""


async def _place(placed: Placed, run: RunDir, packing: Packing, kit: Kit, sheet: Sheet | None) -> Kit:
    """Note what will be put where, hide it from git, and put it there."""
    made: list[str] = []
    root = placed.root or placed.directory
    for place in packing.places:
        above = [part for part in Path(place).parents if part.is_relative_to(root) and not part.exists()]
        made += [str(part) for part in reversed(above) if str(part) not in made]
    file = await _exclude_file(placed)
    kit = replace(
        kit,
        placed={place: digest(files) for place, files in packing.places.items()},
        made=made,
        sheet=str(sheet.path) if sheet is not None else "",
        root=str(root),
        exclude=str(file) if file is not None else None,
    )
    note_kit(run, kit)
    try:
        await asyncio.to_thread(_put, run, packing.places, root, file, kit, sheet)
    except PermissionError as error:
        where = error.filename or root
        raise RefusedError(f"what it is told cannot be put into its workspace: {where}: {error.strerror}") from None
    return kit


async def writable(placed: Placed) -> bool:
    """Whether something may be put into a workspace and be kept out of git's sight."""
    try:
        file = await _exclude_file(placed)
    except RefusedError:
        return False
    return file is None or os.access(file if file.exists() else file.parent, os.W_OK)


async def _exclude_file(placed: Placed) -> Path | None:
    if placed.root is None:
        return None
    try:
        return Path(await git(placed.root, "rev-parse", "--path-format=absolute", "--git-path", "info/exclude"))
    except GitError as error:
        raise RefusedError(f"its skills cannot be kept out of git: {error}") from None


def _put(
    run: RunDir,
    places: Mapping[str, list[File]],
    root: Path,
    file: Path | None,
    kit: Kit,
    sheet: Sheet | None,
) -> None:
    if file is not None:
        hidden = [exclude.pattern(str(Path(place).relative_to(root))) for place in places]
        if sheet is not None:
            hidden.append(exclude.pattern(str(sheet.path.relative_to(root)), folder=False))
        exclude.add(file, kit.marker, hidden)
    if sheet is not None:
        sheets.put(sheet)
    stage = run.path / STAGE
    for place, files in places.items():
        target = Path(place)
        fresh = stage / target.name
        for one in files:
            (fresh / one.name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / one.name).write_bytes(one.data)
            (fresh / one.name).chmod(0o755 if one.program else 0o644)
        _move(fresh, target)
    shutil.rmtree(stage, ignore_errors=True)
