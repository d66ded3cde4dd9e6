"""The lower bounds of pyproject.toml as pip constraints: what `make test-oldest` installs."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
for requirement in project["dependencies"] + project["optional-dependencies"]["dev"]:
    bounded = re.match(r"([\w.-]+)>=([\w.]+)", requirement)
    if bounded:
        print(f"{bounded[1]}=={bounded[2]}")
