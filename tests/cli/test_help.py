"""Help is complete."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from helpers import LONGEST
from mixpanel_duckdb._version import __version__
from mixpanel_duckdb.cli import EXIT_CODES, main


def test_the_console_script_is_the_same_command():
    script = Path(sys.executable).with_name("mp-fetch")
    said = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=LONGEST, check=True).stdout
    assert said == f"mp-fetch, version {__version__}\n"


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_option_has_a_sentence_of_help(name):
    for parameter in main.commands[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.endswith("."), parameter.help


@pytest.mark.parametrize("name", sorted(main.commands))
def test_help_fits_a_terminal_of_eighty_columns(name):
    context = click.Context(main.commands[name], info_name=f"mp-fetch {name}", terminal_width=80)
    lines = main.commands[name].get_help(context).splitlines()
    assert [line for line in lines if len(line) > 80] == []
    examples = [line for line in lines if line.startswith("    mp-fetch ")]
    assert ("  Examples:" in lines, "  Example:" in lines) == (len(examples) > 1, len(examples) == 1)


def test_no_option_takes_a_secret():
    for command in main.commands.values():
        for parameter in command.params:
            assert not {"secret", "token", "password", "username"} & set(str(parameter.name).split("_"))


def test_the_help_lists_commands_variables_and_exit_codes():
    text = main.get_help(click.Context(main, info_name="mp-fetch"))
    for word in (*main.commands, "MP_USERNAME", "MP_OAUTH_TOKEN", *EXIT_CODES.values()):
        assert word in text
