"""The Dockerfile is read as it is written: `make image-check` runs its steps, so none may be one that is not known."""

from __future__ import annotations

import pytest

from tests.image.check import ROOT
from tests.image.dockerfile import Copy, Setup, Step, copy, stages

TEXT = """\
# a comment
FROM base AS one
RUN a \\
    # in between
    && b
COPY x y/
FROM base
ENV PATH=/opt/bin:$PATH HOME=/h
COPY --from=one /a /b
USER me
ENTRYPOINT ["tini", "--", "x"]
CMD ["serve"]
HEALTHCHECK --interval=30s CMD ["x", "health"]
"""


def test_lines_go_on_and_stages_begin() -> None:
    one, two = stages(TEXT)
    assert (one.base, one.name, two.name) == ("base", "one", "1")
    assert [step.word for step in one.steps] == ["RUN", "COPY"]
    assert one.steps[0].rest.split() == ["a", "&&", "b"]
    assert copy(one.steps[1]) == Copy(("x",), "y/")
    assert copy(two.steps[1]) == Copy(("/a",), "/b", "one")


def test_what_is_started_follows_from_the_steps() -> None:
    setup = Setup(env={"PATH": "/bin"})
    left = [step for step in stages(TEXT)[1].steps if not setup.take(step)]
    assert [step.word for step in left] == ["COPY"]
    assert setup.env == {"PATH": "/opt/bin:/bin", "HOME": "/h"} and setup.user == "me"
    assert [*setup.entrypoint, *setup.command] == ["tini", "--", "x", "serve"] and setup.health == ["x", "health"]


@pytest.mark.parametrize("text", ["FROM x\nADD a b", "RUN a\nFROM x", "FROM x\nrun a"])
def test_a_step_that_is_not_known_is_not_passed_over(text: str) -> None:
    with pytest.raises(ValueError, match=r"known|before"):
        stages(text)


def test_our_own_is_read_to_its_end() -> None:
    setup = Setup(env={"PATH": "/bin"})
    build, last = stages((ROOT / "Dockerfile").read_text())
    for step in last.steps:
        if not setup.take(step) and step.word == "COPY":
            assert copy(step) == Copy(("/opt/headway",), "/opt/headway", "build")
    assert setup.user == "headway" and setup.entrypoint[0].endswith("tini") and setup.command[0] == "serve"
    installs = [step.rest for step in build.steps if step.word == "RUN" and "pip" in step.rest]
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    for copied in map(copy, (step for step in build.steps if step.word == "COPY")):
        assert all((ROOT / source).exists() for source in copied.sources)
    with pytest.raises(ValueError, match="option"):
        copy(Step("COPY", "--chown=1 a b"))
