"""What the documents say is held by the code: names, flags, exit codes, variables, columns, snippets, named tests."""

import ast
import os
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import click
import duckdb
import pytest

import mixpanel_duckdb as md
from mixpanel_duckdb import simulator
from mixpanel_duckdb.cli import EXIT_CODES, main
from mixpanel_duckdb.simulator import Population, Simulator
from mixpanel_duckdb.store.database.tuning import _SETTINGS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [ROOT / "README.md", *DOCS.glob("*.md")]}
README, COMMANDS, API, STORAGE = (
    TEXTS[name] for name in ("README.md", "docs/commands.md", "docs/api.md", "docs/storage.md")
)
FAULTS = TEXTS["docs/what-can-go-wrong.md"]
VARIABLE = re.compile(r"\bMP_[A-Z_]+[A-Z]\b")


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"there is no section {heading!r}"
    return found[1]


def first_cells(text: str) -> list[str]:
    """The first cell of each row of the tables in a text."""
    return [row.split("|")[1].strip() for row in text.splitlines() if row.startswith("| ")]


def blocks(language: str) -> list[object]:
    """The fenced blocks of a language, named by their file and number."""
    return [
        pytest.param(block, id=f"{name}-{number}")
        for name, text in TEXTS.items()
        for number, block in enumerate(re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE), 1)
    ]


def commands(code: str) -> list[list[str]]:
    """The words of each command of a block for a shell, without what is redirected."""
    plain = re.sub(r"(^|\s)#.*$", r"\1", code.replace("\\\n", " "), flags=re.MULTILINE)
    words = shlex.shlex(plain, posix=True, punctuation_chars="&|;<>()\n")
    words.whitespace, words.commenters, words.whitespace_split = " \t", "", True
    found: list[list[str]] = [[]]
    for word in words:
        if set(word) <= set("&|;\n"):
            found.append([])
        elif set(word) <= set("<>()"):
            found.append([word])
        else:
            found[-1].append(word)
    return found


@pytest.fixture(scope="module")
def server():
    with Simulator(Population(1200, seed=5)) as running:
        yield running


@pytest.fixture
def project(server, tmp_path, monkeypatch):
    """An empty folder, and an environment that points at a simulated project."""
    for name in [name for name in os.environ if VARIABLE.fullmatch(name)]:
        monkeypatch.delenv(name)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return server


@pytest.mark.parametrize("name", main.commands)
def test_the_command_reference_names_every_flag_and_no_other(name):
    wanted = {
        flag
        for parameter in main.commands[name].params
        if isinstance(parameter, click.Option)
        for flag in (*parameter.opts, *parameter.secondary_opts)
    }
    cells = first_cells(section(COMMANDS, f"mp-fetch {name}"))
    assert {flag for cell in cells for flag in re.findall(r"`(--?[a-z-]+)", cell)} == wanted


@pytest.mark.parametrize("name", main.commands)
def test_the_command_reference_names_every_default(name):
    rows = section(COMMANDS, f"mp-fetch {name}").splitlines()
    for parameter in main.commands[name].params:
        if isinstance(parameter, click.Option) and parameter.show_default:
            row = next(row for row in rows if f"`{parameter.opts[-1]}" in row)
            assert str(parameter.default) in row


def test_every_command_is_in_the_reference_and_every_section_is_a_command():
    assert set(re.findall(r"^## mp-fetch (\w+)$", COMMANDS, re.MULTILINE)) == set(main.commands)


def test_every_exit_code_is_listed():
    codes = {str(code) for code in EXIT_CODES}
    listed = first_cells(section(COMMANDS, "Exit codes"))
    assert codes <= set(listed)
    assert set(listed) - codes <= {"code", "143"}


def test_every_error_ends_in_a_listed_exit_code():
    errors = [getattr(md, name) for name in md.__all__]
    assert {each.exit_code for each in errors if isinstance(each, type) and issubclass(each, md.MixpanelError)} <= set(
        EXIT_CODES
    )


def test_every_environment_variable_is_in_the_reference():
    sources = [path.read_text() for path in (ROOT / "src").rglob("*.py")]
    used = {name for source in sources for name in VARIABLE.findall(source)}
    listed = section(COMMANDS, "Environment variables")
    assert used == set(VARIABLE.findall(listed))


@pytest.mark.parametrize("name", md.__all__)
def test_every_public_name_is_in_the_api_reference(name):
    assert name == "__version__" or re.search(rf"^\.\. auto\w+:: mixpanel_duckdb\.{name}(\(\))?$", API, re.MULTILINE)


@pytest.mark.parametrize("name", simulator.__all__)
def test_every_public_name_of_the_simulator_is_in_the_api_reference(name):
    assert re.search(rf"^\.\. auto\w+:: mixpanel_duckdb\.simulator\.{name}(\(\))?$", API, re.MULTILINE)


def test_the_storage_page_lists_every_column_and_no_other(project):
    md.fetch_profiles("columns.duckdb")
    with duckdb.connect("columns.duckdb") as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
    row = re.compile(r"^\| `(\w+)` \| `([\w\[\]]+)` \|", re.MULTILINE)
    listed = [("profiles", *cells) for cells in row.findall(section(STORAGE, "The table"))]
    for part in re.split(r"^(?=`_mixpanel_)", section(STORAGE, "Journal"), flags=re.MULTILINE)[1:]:
        table = part.split("`")[1]
        listed += [(table, *cells) for cells in row.findall(part)]
    assert sorted(listed) == sorted(columns)


def test_the_storage_page_lists_every_setting_of_our_connections():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", section(STORAGE, "Connections and settings"), re.MULTILINE)
    assert dict(rows) == _SETTINGS


# The examples for loaders run where their tools are: tests/loaders/test_examples.py.
@pytest.mark.parametrize("code", [each for each in blocks("python") if not each.id.startswith("docs/loaders.md")])
def test_python_in_the_documents_runs(code, project, capsys):
    needed = [package for call, package in ((".df()", "pandas"), (".pl()", "polars"), (".arrow()", "pyarrow"))
              if call in code]  # fmt: skip
    if missing := [package for package in needed if find_spec(package) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    exec(compile(code, "block", "exec"), {"__name__": "block"})


@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md"])
def test_no_block_replaces_the_table_of_an_earlier_one_by_something_else(name, project):
    md.fetch_profiles("mixpanel.duckdb")  # the command above them
    for block in blocks("python"):
        if block.id.startswith(f"{name}-"):
            exec(compile(block.values[0], block.id, "exec"), {"__name__": "block"})
    with duckdb.connect("mixpanel.duckdb") as connection:
        assert connection.execute("SELECT count(*) FROM profiles").fetchall() == [(1200,)]


@pytest.mark.parametrize("code", blocks("sql"))
def test_sql_in_the_documents_runs(code, project):
    md.fetch_profiles("mixpanel.duckdb")
    with duckdb.connect("mixpanel.duckdb") as connection:
        for statement in filter(str.strip, code.split(";")):
            assert connection.execute(statement).fetchall()


@pytest.mark.parametrize("code", blocks("sh"))
def test_commands_in_the_documents_are_understood(code):
    for words in commands(code):
        if words[:1] == ["mp-fetch"] and len(words) > 1:
            main.commands[words[1]].make_context(words[1], words[2:]).close()


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith("docs/")])
def test_code_in_the_documents_fits_its_column(name):
    crontab = re.compile(r"[\d,*/-]+( [\d,*/-]+){4} ")  # one line, however long
    parts = re.split(r"^```.*\n", TEXTS[name], flags=re.MULTILINE)  # words, code, words, code, ...
    lines = [line for code in parts[1::2] for line in code.splitlines()]
    assert [line for line in lines if len(line) > 90 and not crontab.match(line)] == []


def test_the_test_that_holds_a_promise_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", FAULTS)
    assert len(named) > 20
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text())
        tests = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in tests, f"{path} has no {name}"


@pytest.mark.parametrize("name", TEXTS)
def test_links_between_the_documents_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            goal = (ROOT / name).parent / path if path else ROOT / name
            assert goal.exists(), target
            words = anchor.replace("-", " ")
            assert not anchor or re.search(
                rf"^(#+ {words}|\({anchor}\)=)$", goal.read_text(), re.IGNORECASE | re.MULTILINE
            )


def test_the_commands_of_the_readme_are_those_that_ci_runs():
    assert "\npip install . && mp-fetch demo\n" in README
    test_command = 'pip install -e ".[dev]" && pytest'
    assert f"\n{test_command}\n" in README
    if not (ROOT / ".ci").is_dir():
        pytest.skip("a source distribution comes without .ci")
    assert test_command in (ROOT / ".ci" / "run").read_text()


def test_the_changelog_knows_this_version():
    assert f"\n## [{md.__version__}] - 2" in (ROOT / "CHANGELOG.md").read_text()
