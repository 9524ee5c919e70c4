"""The typer application: global options, the commands by family, and the edge where errors become exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from console.cli.context import Context, Keys, address_of
from console.cli.families import FAMILIES, needed
from console.cli.streams import cleaned
from engine.errors import HeadwayError, UsageError


def application(families: Iterable[str] = tuple(FAMILIES)) -> typer.Typer:
    """The command line with these families of commands: all of them, if not told otherwise."""
    app = typer.Typer(
        name="headway",
        help="The operations console for AI-agent work. Without a command it opens the console.",
        epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 no engine, 4 not found, 5 refused.",
        no_args_is_help=False,
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(console)
    for name in families:
        import_module(f"console.cli.{name}").add_to(app)
    return app


def console(
    context: typer.Context,
    home: Annotated[
        str | None,
        typer.Option(
            "--home",
            metavar="DIR",
            help="The home to work with; ssh://HOST or https://HOST:PORT for one elsewhere.  "
            "[env: HEADWAY_HOME, HEADWAY_ENGINE]",
            show_default=False,
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="With https://: the token.  [env: HEADWAY_TOKEN]"),
    ] = None,
    fingerprint: Annotated[
        str | None,
        typer.Option(
            "--fingerprint", metavar="SHA256", help="With https://: its certificate.  [env: HEADWAY_FINGERPRINT]"
        ),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", metavar="FILE", help="With https://: who signs it.  [env: HEADWAY_CA_FILE]"),
    ] = None,
    link: Annotated[
        str, typer.Option("--link", help="auto, local, ssh or thin: how much the console writes.")
    ] = "auto",
    ascii_only: Annotated[bool, typer.Option("--ascii", help="Draw the console with ASCII signs only.")] = False,
    mouse: Annotated[
        bool | None,
        typer.Option(
            "--mouse/--no-mouse", help="Take the mouse. [default: only with the link local]", show_default=False
        ),
    ] = None,
    painter: Annotated[
        str, typer.Option("--painter", help="thin writes what changed; stock is Textual's own.")
    ] = "thin",
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Open the console, or find the home for the command that follows."""
    if version:
        from engine import __version__

        print(f"headway {__version__}")
        raise typer.Exit
    keys = Keys(token_file, fingerprint, ca_file)
    context.obj = _context(home, keys)
    if context.invoked_subcommand is None:
        from console.cli import opening
        from console.start import Look

        if painter not in ("thin", "stock"):
            raise UsageError(f"--painter {painter}: it is thin or stock")
        look = Look(link, ascii_only, mouse, painter == "stock")
        raise typer.Exit(opening.console(context.obj.where, look))


def _context(named: str | None, keys: Keys) -> Context:
    from engine.home import default_home, whole

    written = named or os.environ.get("HEADWAY_ENGINE") or os.environ.get("HEADWAY_HOME", "")
    if written.startswith("ssh:"):
        from engine.remote.place import read_place

        return Context(read_place(written), named, keys)
    if written.startswith(("https:", "http:")):
        return Context(address_of(written, keys), named, keys)
    return Context(whole(Path(written) if written else default_home(dict(os.environ))), named, keys)


def run() -> None:
    """Run the command line and exit. Every error is one line on standard error; a defect of ours is one too."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without Unicode still gets its lines
    sys.stdout, sys.stderr = cleaned(sys.stdout), cleaned(sys.stderr)
    completing = any(name.endswith("_COMPLETE") and name.startswith("_") for name in os.environ)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - it stays open to the end
    try:
        try:
            application(FAMILIES if completing else needed(sys.argv[1:]))()
        finally:
            sys.stdout.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # The reader (head, less) has seen enough; Python would complain once more when it closes the stream.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _leave(f"the output cannot be written: {error.strerror}", 1)
    except HeadwayError as error:
        _leave(error.message, error.exit_code)
    except UnicodeEncodeError:
        _leave("something in this command is not valid UTF-8: its words, its input, or this directory's name", 2)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("HEADWAY_DEBUG"):
            raise
        _leave(f"a defect of Headway: {type(error).__name__}: {error}; HEADWAY_DEBUG=1 shows where", 1)


def _leave(line: str, code: int) -> None:
    print(f"headway: {line}", file=sys.stderr)
    sys.exit(code)
