"""What a user can cause ends as one sentence on standard error and an exit code."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from napari_crii.errors import CriiError

USER_ERROR = 2
INTERRUPTED = 130
# Of click, which newer versions of typer carry in a module of their own.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class GuardedGroup(TyperGroup):
    """The commands, with their failures put into words."""

    def make_context(self, info_name: str | None, *more: Any, **extra: Any) -> Any:
        """Read the words of the program itself, as `invoke` those of a command."""
        with _usage_in_a_sentence(info_name or ""):
            return super().make_context(info_name, *more, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; anything but a user's error is a defect and keeps its traceback."""
        try:
            with _usage_in_a_sentence(ctx.command_path, ctx):
                return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("Interrupted: nothing more was written.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise
        except (CriiError, OSError, MemoryError) as error:
            typer.echo(f"Error: {sentence(error)}", err=True)
            raise typer.Exit(USER_ERROR) from None
        except RuntimeError as error:
            if not _is_short_of_memory(error):
                raise
            typer.echo(f"Error: {sentence(MemoryError())}", err=True)
            raise typer.Exit(USER_ERROR) from None


@contextmanager
def _usage_in_a_sentence(program: str, ctx: Any = None) -> Iterator[None]:
    """Say in one line what was typed wrongly, and whose help tells how; help itself is shown."""
    try:
        yield
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        # Not every usage error knows its command.
        under = getattr(ctx, "invoked_subcommand", None) or ""
        asked = getattr(error, "ctx", None)
        whose = getattr(asked, "command_path", f"{program} {under}".rstrip())
        typer.echo(f"Error: {usage_sentence(error)}; see {whose} --help", err=True)
        raise typer.Exit(USER_ERROR) from None


def usage_sentence(error: Any) -> str:
    """Return what click says of a usage error, as the part of a sentence that it begins."""
    text = " ".join(error.format_message().split()).rstrip(".?")
    return (text[:1].lower() + text[1:]).replace(". Did you mean", ", did you mean")


def _is_short_of_memory(error: RuntimeError) -> bool:
    """Whether torch, if it is at work at all, found no memory."""
    if "torch" not in sys.modules:
        return False
    from napari_crii.device import is_out_of_memory

    return is_out_of_memory(error)


def sentence(error: BaseException) -> str:
    """Say in one line what went wrong, and with which file."""
    if isinstance(error, MemoryError):
        return "this needs more memory than the computer has free"
    if isinstance(error, OSError) and error.errno is not None:
        from napari_crii.io.atomic import in_words

        where = f"{error.filename}: " if error.filename else ""
        if error.errno == errno.ENOENT:
            return f"{where}it does not exist"
        return f"{where}{in_words(error)}"
    return " ".join(str(error).split())
