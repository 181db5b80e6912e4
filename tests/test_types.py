"""Types that a user's checker sees: declared, not guessed; and code of a user's that names everything."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mixpanel_duckdb as md
from house.rooms import modules, parsed

USER = Path(__file__).with_name("user") / "strict.py"


def undeclared(tree: ast.Module) -> Iterator[str]:
    """The public attributes of public classes that are assigned without a type, but for a parameter's own."""
    for found in ast.walk(tree):
        if isinstance(found, ast.ClassDef) and not found.name.startswith("_"):
            nodes = list(ast.walk(found))
            declared = {ast.unparse(node.target) for node in nodes if isinstance(node, ast.AnnAssign)}
            declared |= {f"self.{name}" for name in declared}
            for node in nodes:
                if isinstance(node, ast.Assign) and not re.fullmatch(r"\w+|cast\(.*", ast.unparse(node.value)):
                    for name in re.findall(r"\bself\.[a-z]\w*(?= *[,)=])", f"{ast.unparse(node).split(' = ')[0]} ="):
                        if name not in declared:
                            yield f"{found.name}: {name}"


@pytest.mark.parametrize("module", modules(), ids=str)
def test_every_public_attribute_says_its_type(module):
    assert list(undeclared(parsed(module))) == []


def test_the_code_of_a_user_that_strict_mypy_accepts_calls_every_public_name():
    used = set(re.findall(r"\bmd\.(\w+)", USER.read_text(encoding="utf-8")))
    assert used >= set(md.__all__) - {"__version__"}
    assert used <= set(md.__all__)
