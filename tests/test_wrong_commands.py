"""Command lines that cannot be meant: each is one line that says what is wrong, exit status 2, and nothing written."""

import textwrap

import pytest
import torch
from refused import LONG, refuses_command, written
from test_surrogate import OWN

from pinnlora.study.jobs import train


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with problems and configs, hardly any of them right."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "heat.py").write_text(textwrap.dedent(OWN))
    (folder / "thesis").mkdir()
    (folder / "thesis" / "chapter.tex").write_text("years")
    configs(folder)
    problems(folder)
    return folder


def configs(folder):
    written(
        folder,
        "yaml",
        {
            "list": "- 1\n",
            "number": "3\n",
            "broken": "tasks: {train: 1\n",
            "tabs": "tasks:\n\ttrain: 1\n",
            "twice": "seed: 1\nseed: 2\n",
            "inner": "tasks: {train: 1, train: 2}\n",
            "results": "results: ''\n",
            "key": "stpes: 3\n",
            "number_key": "3: 4\n",
            "tag": "seed: !!python/object/apply:os.getcwd []\n",
            "two": "seed: 1\n---\nseed: 2\n",
            "wide": "network: {width: 1000000000}\n",
        },
    )
    (folder / "binary.yaml").write_bytes(bytes(range(256)))
    (folder / "latin.yaml").write_bytes("study: f\xfcr\n".encode("latin-1"))
    (folder / "folder.yaml").mkdir()


def problems(folder):
    written(
        folder,
        "py",
        {
            "syntax": "class Heat(Problem:\n",
            "indent": "class Heat:\n  a = 1\n   b = 2\n",
            "empty": "",
            "raises": "raise RuntimeError('two\\nlines')\nclass Heat: pass\n",
            "exits": "raise SystemExit('out')\nclass Heat: pass\n",
            "imports": "import touch\nclass Heat: pass\n",
            "other": "class Heat: pass\n",
        },
    )
    (folder / "binary.py").write_bytes(bytes(range(256)))
    (folder / "nul.py").write_bytes(b"a = 1\0\nclass Heat: pass\n")
    (folder / "folder.py").mkdir()
    (folder / "heat.txt").write_text(textwrap.dedent(OWN))


COMMANDS = {
    "publish thesis": "thesis",
    "publish absent": "absent",
    # problems
    "check ''": "an argument is empty",
    "check kovaszny": "did you mean 'kovasznay'",
    "check heat.py": "heat.py",
    "check heat.py:": "heat.py",
    "check heat.py:heat": "Heat",
    "check heat.py:Cold": "no problem 'Cold'",
    "check heat.py:Problem": "Heat",
    "check heat.py:torch": "Heat",
    "check :Heat": "",
    "check absent.py:Heat": "absent.py does not exist",
    "check folder.py:Heat": "folder.py does not exist",
    "check heat.py:Heat@": "",
    "check 'kovasznay@no plan'": "no plan",
    f"check {LONG}.py:Heat": "",
    "check syntax.py:Heat": "syntax.py",
    "check indent.py:Heat": "indent.py",
    "check empty.py:Heat": "no problem 'Heat'",
    "check raises.py:Heat": "raises.py: line 1: RuntimeError: two lines",
    "check exits.py:Heat": "exits.py",
    "check imports.py:Heat": "touch",
    "check other.py:Heat": "no problem 'Heat'",
    "check binary.py:Heat": "binary.py",
    "check nul.py:Heat": "nul.py",
    # training
    "train heat.py:Heat": "Missing option '--output'",
    "train heat.py:Cold -o out": "no problem 'Cold'",
    "train heat.py:Heat -o heat.py": "heat.py",
    "train heat.py:Heat -o heat.py/out": "heat.py",
    "train heat.py:Heat -o ''": "an argument is empty",
    f"train heat.py:Heat -o {LONG}": "File name too long",
    "train heat.py:Heat -o out --rank 0": "--rank",
    "train heat.py:Heat -o out --rank x": "--rank",
    "train heat.py:Heat -o out --rank 100000": "rank 100000",
    "train heat.py:Heat -o out --minutes 0": "--minutes",
    "train heat.py:Heat -o out --minutes -1": "--minutes",
    "train heat.py:Heat -o out --minutes nan": "minutes",
    "train heat.py:Heat -o out --minutes inf": "minutes",
    "train heat.py:Heat -o out --config absent.yaml": "cannot read absent.yaml",
    "train heat.py:Heat -o out --config folder.yaml": "cannot read folder.yaml",
    "train heat.py:Heat -o out --config binary.yaml": "binary.yaml is not",
    "train heat.py:Heat -o out --config latin.yaml": "latin.yaml is not",
    "train heat.py:Heat -o out --config list.yaml": "holds a list",
    "train heat.py:Heat -o out --config number.yaml": "holds a int",
    "train heat.py:Heat -o out --config broken.yaml": "is not YAML",
    "train heat.py:Heat -o out --config tabs.yaml": "is not YAML",
    "train heat.py:Heat -o out --config twice.yaml": "seed...twice",
    "train heat.py:Heat -o out --config inner.yaml": "train...twice",
    "train heat.py:Heat -o out --config results.yaml": "results",
    "train heat.py:Heat -o out --config key.yaml": "stpes: unknown key",
    "train heat.py:Heat -o out --config number_key.yaml": "3",
    "train heat.py:Heat -o out --config tag.yaml": "tag.yaml is not YAML",
    "train heat.py:Heat -o out --config two.yaml": "two.yaml is not YAML",
    # jobs
    "job study.jobs.task --settings {} -o out.nc": "did you mean 'study.jobs.tasks'",
    "job study.jobs.tasks --settings {tasks -o out.nc": "--settings is not JSON",
    "job study.jobs.tasks --settings [] -o out.nc": "--settings",
    "job study.jobs.tasks --settings 3 -o out.nc": "--settings",
    "job study.jobs.tasks --settings {} -o out.nc": "--settings have no 'problem'",
    """job study.jobs.tasks --settings '{"problem": "cold"}' -o out.nc""": "cold",
    """job study.jobs.tasks --settings '{"problem": 3}' -o out.nc""": "no settings of a job",
    """job study.jobs.tasks --settings '{"problem": "kovasznay"}' -o out.nc --checkpoint-minutes -1""": "--checkpoint",
}  # fmt: skip


@pytest.fixture(autouse=True)
def untrained(monkeypatch):
    """No wrong command comes as far as a training, which would take minutes."""

    def began(*arguments, **more):
        raise AssertionError("training began")

    monkeypatch.setattr(train, "settings_within", lambda problem, minutes: {})
    monkeypatch.setattr(train, "_train", began)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_wrong_command_is_one_line_and_writes_nothing(place, monkeypatch, capsys, line):
    refuses_command(line, COMMANDS[line], place, monkeypatch, capsys)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a graphics card is there")
def test_no_graphics_card_is_one_line(place, monkeypatch, capsys):
    line = "train heat.py:Heat -o out --device cuda"
    refuses_command(line, "torch sees no GPU here", place, monkeypatch, capsys)
