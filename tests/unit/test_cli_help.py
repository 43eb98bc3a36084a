"""`--help` of every command says what each argument and option is for."""

import typer

from grodtd.cli import app


def unexplained(command, name="grodtd"):
    for parameter in command.params:
        if not parameter.help:
            yield f"{name} {parameter.name}"
    for verb, inner in getattr(command, "commands", {}).items():
        yield from unexplained(inner, f"{name} {verb}")


def test_every_argument_and_option_is_explained():
    assert list(unexplained(typer.main.get_command(app))) == []
