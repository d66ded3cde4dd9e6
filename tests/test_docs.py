"""What the documents name exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
PATH = re.compile(r"`((?:geoseg|tests|configs|pipelines|examples|docs)/[\w./-]*)(?:::(\w+))?`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_links_and_tests_that_a_document_names_exist(document: Path) -> None:
    text = document.read_text()
    missing = [name for name, _ in PATH.findall(text) if not (ROOT / name).exists()]
    missing += [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    for name, test in PATH.findall(text):
        if test and f"def {test}(" not in (ROOT / name).read_text():
            missing.append(f"{name}::{test}")
    assert missing == []
