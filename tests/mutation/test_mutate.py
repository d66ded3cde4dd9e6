import ast
from pathlib import Path

import pytest

from tests.mutation.mutate import mutations_of

SOURCE = '''\
"""A docstring with 1 + 1 in it."""
LIMIT: int = 3


def area(height, width, flip=False):
    if not height < LIMIT or (width >= 2.0):
        print("small")
    return max(0, height * width)


def fail():
    raise ValueError(f"{1 + 1}")
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "module.py").write_text(SOURCE)
    return tmp_path


def test_each_mutation_changes_the_meaning_of_one_line(project):
    for mutation in mutations_of(Path("module.py"), project):
        changed = mutation.apply(SOURCE)
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(SOURCE))
        lines = zip(SOURCE.splitlines(), changed.splitlines(), strict=True)
        assert [number for number, (a, b) in enumerate(lines, 1) if a != b] == [mutation.line]


def test_the_operators_find_what_they_are_said_to_find(project):
    found = mutations_of(Path("module.py"), project)
    lines = {mutation.apply(SOURCE).splitlines()[mutation.line - 1].strip() for mutation in found}
    assert lines == {
        "LIMIT: int = 4",
        "def area(height, width, flip=True):",
        "if (height < LIMIT) or (width >= 2.0):",
        "if not height  <=  LIMIT or (width >= 2.0):",
        "if not width < LIMIT or (width >= 2.0):",
        "if not height < LIMIT  and  (width >= 2.0):",
        "if not height < LIMIT or (width  >  2.0):",
        "if not height < LIMIT or (height >= 2.0):",
        "if not height < LIMIT or (width >= 3.0):",
        "pass",
        "return (0)",
        "return max(1, height * width)",
        "return max(0, width * width)",
        "return max(0, height * height)",
        "return max(0, height  /  width)",
    }
