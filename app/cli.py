"""The command `parley`. Its help must come at once: nothing heavy is imported before a command needs it."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Annotated

# Rich takes longer to import than everything else here, for coloured help.
os.environ.setdefault("TYPER_USE_RICH", "0")

import typer

from app import customers_cli, gate_cli, pins_cli, sites_cli, teams_cli
from app.repl.exit_codes import MEANINGS
from app.repl.terminal import clean

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(sites_cli.app, name="sites")
app.add_typer(customers_cli.app, name="customers")
app.add_typer(teams_cli.app, name="teams")
app.add_typer(pins_cli.app, name="pins")
app.add_typer(gate_cli.app, name="gate")


def _print_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


CODES = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items()) + "."


@app.callback()
def parley(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Parley: one conversation between a customer and a business's agent."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="Instead of PARLEY_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Instead of PARLEY_PORT; 0 is any free one.")
    ] = None,
    voice: Annotated[bool, typer.Option("--voice", help="Run the voice worker beside it, as its own process.")] = False,
) -> None:
    """Serve conversations over HTTP."""
    from agent_core.settings import read_settings

    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    importlib.import_module("app.server").serve(read_settings(**given), voice=voice)


@app.command()
def voice() -> None:
    """Run the voice worker: it needs a LiveKit server."""
    try:
        worker = importlib.import_module("voice.worker")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "voice":
            raise
        print("parley: voice: not installed here: make voice, or pip install -e '.[voice]'", file=sys.stderr)
        raise typer.Exit(2) from None
    raise typer.Exit(worker.main())


@app.command(epilog=CODES)
def chat(
    prompt: Annotated[
        str | None,
        typer.Option("-p", "--prompt", help="Say this, print the answer, leave; - reads it from standard input."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per line for everything that happens.")] = False,
    last: Annotated[bool, typer.Option("-c", "--continue", help="Go on with your last conversation.")] = False,
    resume: Annotated[
        str | None,
        typer.Option("-r", "--resume", metavar="ID", help="Go on with this one; a customer's is read-only."),
    ] = None,
    fork: Annotated[str | None, typer.Option("--fork", metavar="ID", help="Go on in a copy of this one.")] = None,
    script: Annotated[
        Path | None, typer.Option("--script", metavar="FILE", help="Run a transcript and compare what comes of it.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Write a transcript that --script replays.")
    ] = None,
    server: Annotated[
        str | None, typer.Option("--server", metavar="URL", help="Talk to this server instead of in this process.")
    ] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Begin, or go on, with this agent.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Answer with this model.")] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="A new conversation's language, such as de.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With -p: approve whatever is asked.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long a turn may take.")
    ] = 150.0,
) -> None:
    """Talk: at a terminal, from a pipe, once, by a script. On PostgreSQL the team answers that is published there."""
    from app.repl.entry import Options, main

    ways = [name for name, given in (("-c", last), ("-r", resume), ("--fork", fork)) if given]
    if len(ways) > 1 or (prompt is not None and script is not None):
        raise typer.BadParameter(f"{' and '.join(ways) or '-p and --script'} do not go together")
    if ways and language is not None:
        raise typer.BadParameter(f"{ways[0]} and --language do not go together: it has its language")
    options = Options(
        prompt=prompt, json=json, last=last, resume=resume, fork=fork, script=script, record=record, server=server,
        agent=agent, model=model, language=language, yes=yes, seconds=timeout,
    )  # fmt: skip
    raise typer.Exit(main(options))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def tools(context: typer.Context) -> None:
    """Run the demo business as an MCP server (--help)."""
    raise typer.Exit(importlib.import_module("tools.__main__").main(context.args))


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="The findings as one JSON object.")] = False,
) -> None:
    """Say what is wrong here, and what to do."""
    from app.doctor import main

    raise typer.Exit(main(as_json=json))


@app.command()
def version() -> None:
    """Say which version this is."""
    from importlib.metadata import version as of

    typer.echo(f"parley {of('parley')}")


class Harmless(logging.Formatter):
    """A log is read on a screen, which what servers, models and customers said must not command."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


def main() -> None:
    from agent_core.errors import SetupError

    # Before anything else does it: the MCP library would set up a log for screens, with frames around it.
    log = logging.StreamHandler()
    log.setFormatter(Harmless("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[log])
    try:
        app()
    except SetupError as error:
        print(f"parley: {clean(str(error))}", file=sys.stderr)
        sys.exit(2)
