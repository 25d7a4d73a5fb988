"""Settings as files: the JSON schema by which editors check a config, and a study's resolved config. No torch.

`python -m pinnlora.study.settings_files config` writes config/schema.json, with what config/README.md says of each key.
"""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from pinnlora.study.settings import Settings

BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
SECTIONS = {
    "The study": ("Settings", "Overridable"),
    "`tasks`": ("Tasks",),
    "`network`": ("NetworkSettings",),
    "`hypernetwork`": ("HypernetworkSettings",),
    "`evaluation`": ("Evaluation",),
    "`training`": ("PerTask", "Hypernetwork", "Weights"),
}
"""The models that each section of config/README.md describes."""


def schema(readme: str) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a config; each key is described as in the text `readme` of config/README.md."""
    found = Settings.model_json_schema()
    models = {"Settings": found, **found["$defs"]}
    for title, part in _sections(readme).items():
        for name, model in models.items():
            if name.removeprefix("Partial").removeprefix("Ranked").removesuffix("Stage") in SECTIONS.get(
                title, ()
            ):
                for key, text in part.items():
                    if key in model["properties"]:
                        model["properties"][key]["description"] = text
    for model in models.values():
        for described in model["properties"].values():
            described.pop("title", None)
            if described.get("default", "") is None:  # of a key that may be left out
                del described["default"]
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Settings of a study"}
    return about | {key: value for key, value in _bounded(found).items() if key != "title"}


def _bounded(tree: Any) -> Any:
    """With bounds as JSON schema names them: pydantic leaves its own where a validator comes first."""
    if isinstance(tree, dict):
        return {BOUNDS.get(key, key): _bounded(value) for key, value in tree.items()}
    return [_bounded(value) for value in tree] if isinstance(tree, list) else tree


def _sections(readme: str) -> dict[str, dict[str, str]]:
    """Key and meaning of each table, by the title of its section."""
    found: dict[str, dict[str, str]] = {}
    title = ""
    for line in readme.splitlines():
        if line.startswith("##"):
            title = line.lstrip("# ")
        row = re.match(r"\| `(\w+)` \| .*? \| (.*) \|$", line)
        if row:
            found.setdefault(title, {})[row[1]] = row[2].replace("\\|", "|")
    return found


def write_schema(folder: Path) -> None:
    """schema.json beside the README.md of a folder."""
    text = json.dumps(schema((folder / "README.md").read_text(encoding="utf-8")), indent=1)
    (folder / "schema.json").write_text(f"{text}\n", encoding="utf-8")


def resolved(settings: Settings) -> dict[str, Any]:
    """All settings of a study, defaults filled in: a config that makes the same jobs."""
    return settings.model_dump(mode="json", exclude_none=True)


def save_resolved(settings: Settings, folder: Path) -> None:
    """config.yaml in a study's folder; all or nothing."""
    text = yaml.safe_dump(resolved(settings), sort_keys=False, allow_unicode=True)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".config.yaml.{os.getpid()}"
    temporary.write_text(
        f"# As it was run, defaults filled in: snakemake --configfile runs it again.\n{text}",
        encoding="utf-8",
    )
    temporary.replace(folder / "config.yaml")


if __name__ == "__main__":
    write_schema(Path(sys.argv[1]))
