"""YAML that people write: every mistake is one line that says where, what, and what was probably meant."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Annotated

import hypothesis.strategies as st
import msgspec
import pytest
import yaml
from hypothesis import example, given, settings
from msgspec import Meta, Struct, field

from engine.documents import Bounds, DocumentError, Keys, door, examine, parse, text_of, tree
from engine.documents.door import BOUNDS, DEPTH_LIMIT, lines_in
from engine.documents.mistakes import SHOWN
from engine.documents.tree import Tree
from engine.errors import UsageError
from engine.model import Workspace


class Inner(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    size: Annotated[int, Meta(ge=0, le=9)] = 5
    workspace: Workspace | None = None
    words: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    when: str | int | None = None


class Outer(Struct, frozen=True, forbid_unknown_fields=True):
    inner: dict[str, Inner] = field(default_factory=dict)
    many: list[Inner] = field(default_factory=list)
    share: float = 0.5


def wrong(text: str, bounds: Bounds = BOUNDS) -> str:
    with pytest.raises(UsageError) as error:
        parse(text, "f.yaml", Outer, bounds)
    said = str(error.value)
    assert "\n" not in said, "one mistake is one line"
    assert said.startswith("f.yaml")
    return said


def test_a_document_becomes_its_type() -> None:
    text = "inner:\n  a: {name: x, size: 3, workspace: worktree, words: [p, q], env: {K: v}}\nshare: 1\n"
    one = Inner("x", 3, Workspace.WORKTREE, ["p", "q"], {"K": "v"})
    assert parse(text, "f.yaml", Outer) == Outer({"a": one}, [], 1.0)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "~\n", "---\n# later\n", "\ufeff"])
def test_an_empty_document_is_an_empty_mapping(text: str) -> None:
    assert parse(text, "f.yaml", Outer) == Outer()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("share: 1\ninnr: {}\n", "f.yaml, line 2: no key 'innr'; did you mean 'inner'?"),
        ("share: 1\n\nzzzzz: {}\n", "f.yaml, line 3: no key 'zzzzz'; there are inner, many, share"),
        ("inner:\n  a:\n    name: x\n    siez: 3\n", "f.yaml, line 4: inner.a: no key 'siez'; did you mean 'size'?"),
        ("inner:\n  a:\n    size: 3\n", "f.yaml, line 3: inner.a: 'name' is missing"),
        ("many:\n- name: x\n- size: 3\n", "f.yaml, line 3: many: 'name' is missing"),
        ("many:\n- name: x\n- name: y\n  size: 12\n", "f.yaml, line 4: many.size: expected int <= 9"),
        ("many:\n- name: x\n  size: large\n", "f.yaml, line 3: many.size: expected int, got text"),
        ("many:\n- name: x\n  size: 1.5\n", "f.yaml, line 3: many.size: expected int, got float"),
        ("many:\n- name: x\n  size: ~\n", "f.yaml, line 3: many.size: expected int, got nothing"),
        ("many:\n- name: [x]\n", "f.yaml, line 2: many.name: expected text, got a list"),
        ("many:\n- name: x\n  workspace: worktre\n", "line 3: many.workspace: 'worktre' is not valid; did you mean"),
        ("many:\n- name: x\n  words:\n  - a\n  - 3\n", "f.yaml, line 5: many.words: expected text, got int"),
        ("many:\n- name: x\n  words: a\n", "f.yaml, line 3: many.words: expected a list, got text"),
        ("many:\n- name: x\n  env:\n    A: b\n    B: 3\n", "f.yaml, line 5: many.env.B: expected text, got int"),
        ("many:\n- name: x\n  when: [1]\n", "line 3: many.when: expected int | text | nothing, got a list"),
        ("many: {name: x}\n", "f.yaml, line 1: many: expected a list, got a mapping"),
        ("- name: x\n", "f.yaml, line 1: expected a mapping, got a list"),
        ("hello\n", "f.yaml, line 1: expected a mapping, got text"),
        ("7\n", "f.yaml, line 1: expected a mapping, got int"),
    ],
)
def test_what_is_wrong_names_file_line_key_and_the_nearest_word(text: str, said: str) -> None:
    assert said in wrong(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("share: 1\nshare: 2\n", "line 2: 'share' stands here twice"),
        ("inner:\n  a: {name: x}\n  b: {name: y}\n  a: {name: z}\n", "line 4: inner: 'a' stands here twice"),
        ("many:\n- {name: x,\n   name: y}\n", "line 3: many: 'name' stands here twice"),
        ("inner: &x {a: {name: n}}\nmany: *x\n", "line 2: anchors and aliases are not allowed"),
        ("many:\n- {name: &n x}\n- {name: *n}\n", "line 3: anchors and aliases are not allowed"),
        ("many: &m\n- *m\n", "line 2: anchors and aliases are not allowed"),
        ("? &k [*k]\n: 1\n", "line 1: anchors and aliases are not allowed"),
        ("<<: *nowhere\n", "line 1: anchors and aliases are not allowed"),
        ("share: [1\n", "line 2: not valid YAML"),
        ("share: 1\n\ttab: 2\n", "line 2: not valid YAML"),
        ("share: 'open\n", "not valid YAML"),
        ("share: 1\n---\nshare: 2\n", "line 2: not valid YAML"),
        ("? [a]\n: b\n", "line 1: a key cannot be a list or a mapping"),
        ("share: !!python/object:os.system {}\n", "line 1: share: this cannot be read as os.system"),
        ("share: 1\nmany: !!int ''\n", "line 2: many: this cannot be read as int"),
        ("share: !!float ''\n", "line 1: share: this cannot be read as float"),
        ("share: !!bool perhaps\n", "line 1: share: this cannot be read as bool"),
        ("share: !!timestamp soon\n", "line 1: share: this cannot be read as timestamp"),
        ("share: 0x_\n", "line 1: share: this cannot be read as int"),
        ("share: 1\nmany: " + "9" * 5_000 + "\n", "line 2: many: this cannot be read as int"),
        ("share: 1\nmany: a\0b\n", "line 2: the character U+0000 is not allowed"),
        ("share: 1\nmany: \x1b[31m\n", "line 2: the character U+001B is not allowed"),
        ("share: \ud800\n", "line 1: the character U+D800 is not allowed"),
        ("many: !!set {a, b}\n", "line 1: many: this cannot be read as set"),
        ("true: 1\n", "line 1: no key 'True'"),
        ("1: 1\n", "line 1: no key '1'"),
        ("~: 1\n", "line 1: no key 'None'"),
        ("many:\n- name: x\n  env: {yes: a}\n", "line 3: many.env: expected text, got bool"),
    ],
)
def test_what_yaml_would_let_through_or_trip_over_is_refused_with_its_line(text: str, said: str) -> None:
    assert said in wrong(text)


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "Yes", "NO", "true", "False"])
def test_the_booleans_of_yaml_are_no_text(word: str) -> None:
    assert wrong(f"many:\n- name: {word}\n") == "f.yaml, line 2: many.name: expected text, got bool"
    assert parse(f"many:\n- name: '{word}'\n", "f.yaml", Outer).many[0].name == word


@pytest.mark.parametrize("time", ["2026-01-31", "2026-01-31T07:00:00Z", "2026-01-31 07:00:00 +02:00"])
def test_a_time_stays_the_text_that_was_written(time: str) -> None:
    assert parse(f"many:\n- {{name: x, when: {time}}}\n", "f.yaml", Outer).many[0].when == time


@pytest.mark.parametrize(
    "text",
    ["[" * 300_000, "{a: " * 300_000, "- " * 300_000, "? " * 300_000, "[" * 300_000 + "]" * 300_000],
    ids=["lists", "mappings", "dashes", "keys", "closed lists"],
)
def test_a_file_of_brackets_is_refused_and_does_not_take_the_process_with_it(text: str) -> None:
    """In a process of its own, because it used to end in a segmentation fault."""
    code = (
        "import sys\nfrom engine.documents import parse\nfrom engine.errors import UsageError\n"
        "try:\n    parse(sys.stdin.read(), 'f.yaml', dict)\nexcept UsageError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"f.yaml, line 1: more than {DEPTH_LIMIT} levels deep\n"


def test_the_limit_of_depth_is_exact() -> None:
    fits = "[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT
    assert "levels deep" not in wrong(fits)
    assert "levels deep" in wrong(f"[{fits}]")


def test_too_large_a_file_is_not_even_read() -> None:
    assert wrong("#" * (1 << 20) + "\n", Bounds(size=1 << 20)) == "f.yaml: larger than 1 MiB"


def test_more_values_than_memory_holds_are_refused_with_the_line_of_the_first() -> None:
    assert wrong("many:\n" + "- {}\n" * 50, Bounds(values=20)) == "f.yaml, line 19: more than 20 keys and values"


@pytest.mark.parametrize("colons", ["12:30", "1:1:1", "190:20:30.5", ":".join("1" * 200_000), "!!int 12:30"])
def test_no_colons_become_a_number(colons: str) -> None:
    """To YAML 1.1 they are digits to the base of 60, and a long line of them took minutes of arithmetic."""
    when = parse(f"many:\n- {{name: x, when: {colons}}}\n", "f.yaml", Outer).many[0].when
    assert when == colons.removeprefix("!!int ")


#: What a loader that builds what it reads turns into gigabytes, a hang or a call.
BOMBS = {
    "a billion laughs": "a: &a [lol]\n"
    + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghi")),
    "a merge of itself": "a: &a\n  <<: *a\n",
    "a merge of merges": "a: &a {x: 1}\nb: &b {<<: [*a, *a]}\nc: {<<: [*b, *b]}\n",
    "a call": "share: !!python/object/apply:os.system ['touch HERE']\n",
    "a module": "share: !!python/module:os\n",
    "a large number": f"share: {'9' * 200_000}\n",
    "a number to the base of 60": f"share: {':'.join('9' * 100_000)}\n",
    "a large exponent": "share: 1e999999999\n",
    "a time": "share: 99999-99-99T99:99:99Z\n",
    "one key many times": "share: 1\n" * 20_000,
    "many wrong keys": "".join(f"shar{n}: 1\n" for n in range(10_000)),
    "a long word": f"share: {'a' * 5_000_000}\n",
    "a long key": f"{'a' * 200_000}: 1\n",
    "an explicit key": f"? {'? ' * 90}a\n",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_by_one_line_of_words(bomb: str) -> None:
    with pytest.raises(DocumentError) as error:
        parse(BOMBS[bomb], "f.yaml", Outer)
    lines = str(error.value).split("\n")
    assert len(lines) <= SHOWN + 1 and all(len(line) < 400 for line in lines)
    assert re.match(r"f\.yaml, line \d+: \S", lines[0])


def test_a_file_is_read_no_further_than_its_bound(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="/dev/zero cannot be read: it is larger than 1 MiB"):
        text_of(Path("/dev/zero"), 1 << 20)
    with pytest.raises(UsageError, match="Is a directory"):
        text_of(tmp_path)
    with pytest.raises(UsageError, match="no file has such a name"):
        text_of(tmp_path / "a\0b")
    with pytest.raises(UsageError, match="File name too long"):
        text_of(tmp_path / ("a" * 300))
    (tmp_path / "latin").write_bytes(b"a: 1\nb: \xe4\n")
    with pytest.raises(DocumentError, match="line 2: byte 0xe4 is no UTF-8 text"):
        text_of(tmp_path / "latin")


def test_a_list_knows_where_its_entries_and_their_keys_stand() -> None:
    text = "# a comment\nmany:\n- name: x\n  size: 3\n\n- {name: y,\n   size: 4}\n"
    reading = examine(text, "f.yaml", Outer)
    assert [one.name for one in reading.checked().many] == ["x", "y"]
    assert [reading.tree.line_of(("many", place)) for place in (0, 1)] == [3, 6]
    assert [reading.tree.line_of(("many", place, "size")) for place in (0, 1)] == [4, 7]
    assert reading.tree.line_of(("many", 1, "words")) == 6, "an unset key: its entry's line"


_SYNTAX = st.sampled_from(
    ("- ", "\n", "  ", ": ", "name", "many", "inner", "[", "]", "{", "}", "&a ", "*a", "!!int ", "!!bool ", "'", '"',
     "| ", "> ", "? ", "<<", "~", "yes", "1", "0x", ".inf", "#", "%", "---\n", "...\n", "\t", "=", "!!omap ", "1:1")
)  # fmt: skip


@given(st.one_of(st.text(st.characters()), st.lists(_SYNTAX, max_size=30).map("".join)))
@settings(max_examples=600, deadline=None)
@example("- &a [*a]")
@example("!!set\n? a\n? b\n")
@example("%YAML 1.1\n---\nshare: 1")
@example("=: =")
@example("? many")
def test_any_text_is_a_document_or_a_usage_error(text: str) -> None:
    try:
        parse(text, "f.yaml", Outer)
    except UsageError as error:
        assert isinstance(error, DocumentError)
        assert error.mistakes, "an error says what is wrong"
        assert [one.line for one in error.mistakes] == sorted(one.line or 0 for one in error.mistakes)
        assert all(1 <= (one.line or 0) <= lines_in(text) for one in error.mistakes)
        lines = str(error).split("\n")
        assert len(lines) <= SHOWN + 1
        assert all(re.match(r"f\.yaml, line \d+: \S|and \d+ more$", line) for line in lines)
        assert all(line.isprintable() and len(line) <= 400 for line in lines)


# With and without libyaml


@pytest.fixture(scope="module")
def without_libyaml() -> ModuleType:
    """The module that reads, on a Python whose PyYAML was built without the C library."""
    patch = pytest.MonkeyPatch()
    patch.delattr(yaml, "CSafeLoader")
    for module in (door, tree):
        spec = importlib.util.spec_from_file_location(module.__name__, module.__file__)
        assert spec is not None
        assert spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, module.__name__, made)
        spec.loader.exec_module(made)
    patch.undo()
    return made


def answer(module: ModuleType, text: str) -> object:
    try:
        read, mistakes = module.read_tree(text, "f.yaml")
    except UsageError as error:
        return str(error).split(": not valid YAML")[0]
    return shape(read), [(one.line, one.what) for one in mistakes]


def shape(read: Tree) -> object:
    """All of a tree, in a form in which the same unreadable value is the same."""
    value = None if read.children else repr(read.value).split(" object at ")[0]
    return read.line, value, dict(read.key_lines), {key: shape(child) for key, child in read.children.items()}


_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\ufeff"), max_size=20)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | _TEXTS
    | st.sampled_from(["yes", "1:30", "=", "2026-01-01"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "size", "words", "env", "when", "nam"]) | _TEXTS, inner, max_size=4)
    ),
    max_leaves=12,
)
_DOCUMENTS = st.dictionaries(st.sampled_from(["inner", "many", "share", "innr"]), _VALUES, max_size=3)


@given(_DOCUMENTS, st.sampled_from([None, True, False]), st.sampled_from([None, '"', "|"]))
@settings(max_examples=200, deadline=None)
def test_both_loaders_give_the_same_answers(
    without_libyaml: ModuleType, data: dict[str, object], flow: bool | None, style: str | None
) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, default_style=style, allow_unicode=True)
    if "&id" in text:
        return
    assert answer(tree, text) == answer(without_libyaml, text)


# All of it at once

MANY = """\
shar: 1
share: much
inner:
  a: {name: 3, siez: 4}
  b: no mapping
  a: {name: again}
  c: {size: !!int x, workspace: worktre}
many:
- {name: x}
- {size: 12, words: [a, 3, 4]}
"""


def test_every_mistake_is_told_at_once_by_line() -> None:
    with pytest.raises(DocumentError) as error:
        parse(MANY, "f.yaml", Outer)
    assert str(error.value).split("\n") == [
        "f.yaml, line 1: no key 'shar'; did you mean 'share'?",
        "f.yaml, line 2: share: expected float, got text",
        "f.yaml, line 4: inner.a: no key 'siez'; did you mean 'size'?",
        "f.yaml, line 4: inner.a.name: expected text, got int",
        "f.yaml, line 5: inner.b: expected a mapping, got text",
        "f.yaml, line 6: inner: 'a' stands here twice",
        "f.yaml, line 7: inner.c.size: this cannot be read as int",
        "f.yaml, line 7: inner.c: 'name' is missing",
        "f.yaml, line 7: inner.c.workspace: 'worktre' is not valid; did you mean 'worktree'?",
        "f.yaml, line 10: many: 'name' is missing",
        "f.yaml, line 10: many.size: expected int <= 9",
        "f.yaml, line 10: many.words: expected text, got int",
    ]


def test_what_is_right_beside_mistakes_is_read_and_what_is_wrong_is_nobodys_word() -> None:
    value = examine(MANY, "f.yaml", Outer).value
    assert value is not None
    assert sorted(value.inner) == ["a", "b", "c"], "a name stays known, so that others may refer to it"
    assert (value.inner["c"].size, value.inner["c"].workspace, value.share) == (5, None, 0.5)
    assert value.many[0].name == "x"
    assert len(value.many) == 2, "the places of what follows stay as they are"


def test_a_complaint_stands_at_its_line_and_not_where_nobody_wrote_the_value() -> None:
    reading = examine(MANY, "f.yaml", Outer)
    before = len(reading.mistakes)
    nobodys: list[Keys] = [("inner", "b"), ("inner", "a", "name"), ("share",), ("many", 1, "size")]
    reading.complain((keys, "x") for keys in nobodys)
    assert len(reading.mistakes) == before
    reading.complain([(("many", 0, "name"), "too short"), (("inner", "a", "size"), "unset, so its parent's line")])
    assert [(one.line, one.what) for one in reading.mistakes[before:]] == [
        (9, "many.name: too short"),
        (4, "inner.a.size: unset, so its parent's line"),
    ]


def test_a_long_list_ends_with_how_many_there_are_more() -> None:
    with pytest.raises(DocumentError) as error:
        parse("many:\n" + "- {}\n" * 50, "f.yaml", Outer)
    lines = str(error.value).split("\n")
    assert len(lines) == SHOWN + 1
    assert lines[-2:] == [f"f.yaml, line {SHOWN + 1}: many: 'name' is missing", f"and {50 - SHOWN} more"]
    assert len(error.value.mistakes) == 50


@given(_DOCUMENTS)
@settings(max_examples=200, deadline=None)
def test_a_document_is_wrong_exactly_where_its_type_refuses_it(data: dict[str, object]) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    if "&id" in text:
        return
    reading = examine(text, "f.yaml", Outer)
    try:
        right = msgspec.convert(reading.tree.value, Outer)
    except msgspec.ValidationError:
        assert reading.mistakes
        assert reading.value is not None, "this type can always be mended"
    else:
        assert (reading.value, reading.mistakes) == (right, [])
