"""Documents about as a type wants them: right in form for the most part, and wrong in each place now and then."""

from __future__ import annotations

import types
from enum import Enum
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import hypothesis.strategies as st
import msgspec
import yaml


def shape_of(kind: Any, depth: int = 0) -> st.SearchStrategy[object]:
    """Values for a type of headway.yaml or of a file of jobs."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    odd = st.sampled_from(
        [None, True, -1, 0, 1.5, "", "x", "soon", "-5m", "a b", "/", "~", [], {}, [[]], {"x": {"y": 1}}]
    )
    if depth > 5:
        return odd
    if isinstance(kind, types.UnionType):
        return st.one_of([shape_of(one, depth) for one in get_args(kind)])
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind, include_extras=True)
        fields = {name: shape_of(hint, depth + 1) for name, hint in hints.items()}
        return st.fixed_dictionaries({}, optional=fields) | odd if depth else st.fixed_dictionaries({}, optional=fields)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from([str(one.value) for one in kind]) | odd
    if get_origin(kind) is list:
        return st.lists(shape_of(get_args(kind)[0], depth + 1), max_size=2) | odd
    if get_origin(kind) is dict:
        names = st.sampled_from(["claude", "codex", "llm", "shell", "work", "a:b@c", "tag:x", "", "a b"])
        return st.dictionaries(names, shape_of(get_args(kind)[1], depth + 1), max_size=2) | odd
    words = ["claude", "claude:opus@work", "work", "1h", "5m", "2G", "http://x.test", "https://x", "PATH", "* * * * *"]
    return odd | st.sampled_from([*words, 1, 0.5, True])


def written(data: object) -> str:
    """As YAML."""
    return yaml.dump(data, Dumper=_NoAliases, allow_unicode=True, default_flow_style=False)


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True
