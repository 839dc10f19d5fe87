"""`mohhos`: finds the command, and turns failures into words and exit codes."""

import difflib
import importlib
import sys
from typing import Any, Final

import click

from mohhos.cli.context import Settings
from mohhos.cli.output import failure
from mohhos.client.errors import ApiError
from mohhos.errors import MohhosError

__all__ = ["main"]

#: Each command's module is imported when it is called, so that every command starts quickly.
COMMANDS: Final = {
    "up": "Starts the gateway.",
    "demo": "Starts a gateway with a demo fleet and rules.",
    "doctor": "Checks this machine for the gateway and says what to do.",
    "devices": "Lists, shows, adds, removes, throttles and quarantines devices.",
    "policy": "Roles: applies, assigns and explains them; the audit.",
    "rules": "Lists, applies, checks and removes rules.",
    "alerts": "Lists, acknowledges and resolves alerts.",
    "telemetry": "Shows recorded readings of a device.",
    "command": "Sends a command to a device.",
    "trace": "Shows what a device and the gateway say to each other.",
    "applications": "Lists, adds and removes applications that connect over MQTT.",
    "token": "Creates, lists and revokes operators' tokens on this machine.",
    "login": "Remembers a token for this user.",
    "backup": "Writes a backup of the running gateway.",
    "restore": "Fills an empty data directory from a backup.",
    "sim": "Simulates devices, or replays recorded data.",
}

EXIT_FAILED: Final = 1
EXIT_NOT_FOUND: Final = 3
EXIT_NOT_ALLOWED: Final = 4
EXIT_UNREACHABLE: Final = 5
_EXITS: Final = {0: EXIT_UNREACHABLE, 401: EXIT_NOT_ALLOWED, 403: EXIT_NOT_ALLOWED, 404: EXIT_NOT_FOUND}


class _Program(click.Group):
    """Commands by name, from one module each."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"mohhos.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            raise click.UsageError(f"{error.message}" + (f" Did you mean {near[0]}?" if near else ""), ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ApiError as error:
            failure(error.detail, error.next_step, error.code, error.fields)
            ctx.exit(_EXITS.get(error.status, EXIT_FAILED))
        except MohhosError as error:
            failure(f"{error.what}: {error.why}", error.next_step, error.code, error.fields)
            ctx.exit(_EXITS.get(error.status, EXIT_FAILED))


@click.group(
    cls=_Program,
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not allowed, 5 no gateway answers.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--config", "config", envvar="MOHHOS_CONFIG", type=click.Path(dir_okay=False), help="mohhos.toml of the gateway."
)
@click.option("--url", envvar="MOHHOS_URL", help="Where the gateway's API is; found through --config on this machine.")
@click.option("--token", envvar="MOHHOS_TOKEN", help="The operator's token; else the one of mohhos login.")
@click.version_option(package_name="mohhos", message="mohhos %(version)s")
@click.pass_context
def program(ctx: click.Context, config: str | None, url: str | None, token: str | None) -> None:
    """The MOHHOS IoT Edge Gateway."""
    ctx.obj = Settings(config, url, token)


def main() -> None:
    """Runs the program with the words of the command line."""
    try:
        program(prog_name="mohhos")
    except BrokenPipeError:
        # The reader of our output has gone (| head): that is its right.
        sys.stderr.close()
        sys.exit(0)
