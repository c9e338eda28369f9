"""The root of the command line: global options, the commands, and how every ending becomes an exit code."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer

from smos import __version__, exitcodes, lang
from smos.cli import (
    backup,
    complete,
    cost,
    create,
    daily,
    deploy,
    inspect,
    machine,
    mcp,
    notify,
    panel,
    plan,
    releases,
    sandbox,
    secrets,
    sync,
    tenant,
    test,
    update,
)
from smos.outcome import Failure, Outcome, Speaker
from smos.settings import GLOBAL_OPTIONS, Settings, hoisted

app = typer.Typer(
    name="smos",
    help="SmarterOS: the back office of many shops, from specs in git.",
    epilog="Global options may stand anywhere on the line. Exit codes: 0 done, 1 failed, 2 invalid input, "
    "3 environment unusable, 4 refused, 10 changes pending, 130 stopped.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help comes in half the time
    context_settings={"help_option_names": ["-h", "--help"]},
)
GROUPS = ("create", "deploy", "tenant", "sandbox", "secrets", "sync", "update")
app.add_typer(create.app, name="create")
app.add_typer(deploy.app, name="deploy")
app.add_typer(tenant.app, name="tenant")
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(secrets.app, name="secrets")
app.add_typer(sync.app, name="sync")
app.add_typer(update.app, name="update")
app.command("plan")(plan.plan)
app.command("status")(machine.status)
app.command("logs")(machine.logs)
app.command("doctor")(machine.doctor)
app.command("test")(test.tokens)
app.command("backup")(backup.backup)
app.command("backups")(backup.backups)
app.command("restore")(backup.restore)
app.command("releases")(releases.releases)
app.command("rollback")(releases.rollback)
app.command("pin")(releases.pin)
app.command("validate")(inspect.validate)
app.command("history")(inspect.history)
app.command("cost")(cost.cost)
app.command("daily")(daily.daily)
app.command("notify")(notify.notify)
app.command("mcp")(mcp.mcp)
app.command("panel")(panel.panel)
app.command("completion")(complete.completion)


# The parser's own words on a help page are looked up as ours are.
_CONTEXT: Any = next(kind for kind in typer.Context.__mro__ if "formatter_class" in vars(kind))
_CONTEXT.formatter_class = lang.formatter(_CONTEXT.formatter_class)

# A newer typer carries its own click, an older one uses the package: this is the base of the errors that it raises.
USAGE_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"smos {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    env: Annotated[
        str,
        typer.Option(
            "--env", envvar="SMOS_ENV", help="Inventory: inventories/NAME.", autocompletion=complete.environments
        ),
    ] = "sandbox",
    specs: Annotated[str | None, typer.Option("--specs", envvar="SMOS_SPECS_REPO", help="Spec repository.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing and predict.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show differences.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on stdout and nothing else there.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Answer every confirmation with yes.")] = False,
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="Ansible's own output; up to -vvvv.")] = 0,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only errors.")] = False,
    limit: Annotated[str | None, typer.Option("--limit", help="For the playbook: these hosts only.")] = None,
    tags: Annotated[str | None, typer.Option("--tags", help="For the playbook: these tags only.")] = None,
    extra_vars: Annotated[
        list[str] | None, typer.Option("-e", "--extra-vars", metavar="VARS", help="For the playbook: variables.")
    ] = None,
    forks: Annotated[int | None, typer.Option("--forks", help="For the playbook: parallel processes.")] = None,
    _shown: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the global options."""
    ctx.obj = Settings(
        env, specs, check, diff, as_json, yes, verbose, quiet, limit, tags, tuple(extra_vars or ()), forks
    )


def call(argv: list[str]) -> int:
    """Run one command line; every ending gives an exit code, and with --json a document."""
    words = hoisted(argv)
    try:
        language = lang.speak(os.environ)
        _refuse_what_is_no_text(words)
        command = typer.main.get_command(app)
        if language != lang.ENGLISH:
            lang.translate(command)
        code = command(words, prog_name="smos", standalone_mode=False)
        return code if isinstance(code, int) else exitcodes.DONE
    except USAGE_ERROR as exc:
        if "--json" in words:
            return _told(words, Outcome(errors=(_usage(exc.format_message()),), code=exitcodes.INVALID))
        _show_usage(exc)
        return exitcodes.INVALID
    except lang.UnknownLanguage as exc:
        return _told(words, Outcome(errors=(_usage(str(exc)),), code=exitcodes.INVALID))
    except Failure as exc:
        return _told(words, exc.outcome)
    except OSError as exc:
        return _told(words, Outcome(errors=(_broken(exc),), code=exitcodes.FAILED))
    except (KeyboardInterrupt, typer.Abort):
        print("stopped", file=sys.stderr)
        return exitcodes.INTERRUPTED


def _show_usage(exc: Any) -> None:
    """What is wrong with the command line, in the words of the parser; a bare group shows its help."""
    text = io.StringIO()
    exc.show(file=text)
    sys.stderr.write(lang.parser_words(text.getvalue()))


def _refuse_what_is_no_text(words: list[str]) -> None:
    """An argument may be any bytes; those that are no text could be neither judged, nor kept, nor shown."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            shown = word.encode(errors="surrogateescape").decode(errors="backslashreplace")
            raise Failure(exitcodes.INVALID, _usage(f"the argument {shown} is not valid UTF-8")) from None


def _told(words: list[str], outcome: Outcome) -> int:
    command, env = _named(words)
    return Speaker(command, env, "--json" in words).finish(outcome)


def _named(words: list[str]) -> tuple[str, str]:
    """(command, environment) of a command line that the parser did not come to; global options stand in front."""
    names, env = [], os.environ.get("SMOS_ENV") or "sandbox"
    following = iter(words)
    for word in following:
        option, equals, value = word.partition("=")
        if GLOBAL_OPTIONS.get(option) and not equals:
            value = next(following, "")
        env = value if option == "--env" else env
        names += [] if word.startswith("-") else [word]
    return " ".join(names[: 2 if names and names[0] in GROUPS else 1]), env


def _usage(why: str) -> dict[str, str]:
    return {"what": "command line", "where": "", "why": why, "next": "See `smos --help`"}


def _broken(exc: OSError) -> dict[str, str]:
    where = str(exc.filename or "")
    return {
        "what": "this machine",
        "where": where,
        "why": exc.strerror or str(exc),
        "next": "Repair that, then run the same command again",
    }
