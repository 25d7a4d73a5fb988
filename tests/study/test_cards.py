"""Jobs side by side on a machine of two cards, made up: each gets its own."""

import multiprocessing
import os
from types import SimpleNamespace

import pytest
import torch

from pinnlora.study import cards
from pinnlora.study.cards import own_card


@pytest.fixture
def two_cards(monkeypatch, tmp_path):
    """Two cards that are not there, and the numbers of those that were chosen."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda card: SimpleNamespace(uuid=f"GPU-{card}"))
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(cards.tempfile, "gettempdir", lambda: str(tmp_path))
    return chosen


def test_each_job_gets_a_card_of_its_own_and_gives_it_back(two_cards):
    with own_card("cuda"), own_card("auto"):
        assert two_cards == [0, 1]
    with own_card("cuda"):
        assert two_cards == [0, 1, 0]


def test_a_third_job_waits_and_says_so(two_cards, monkeypatch, capsys):
    first = own_card("cuda")
    first.__enter__()
    monkeypatch.setattr(cards.time, "sleep", lambda seconds: first.__exit__(None, None, None))
    with own_card("cuda"), own_card("cuda"):
        assert two_cards == [0, 1, 0]
    assert capsys.readouterr().out == "waiting: other jobs hold all graphics cards, 2\n"


def _die_with_a_card():
    own_card("cuda").__enter__()
    os._exit(9)


def test_a_killed_job_holds_no_card(two_cards):
    child = multiprocessing.get_context("fork").Process(target=_die_with_a_card)
    child.start()
    child.join()
    assert child.exitcode == 9
    with own_card("cuda"):
        assert two_cards == [0]


def test_on_the_cpu_no_card_is_asked_for(two_cards):
    with own_card("cpu"):
        assert two_cards == []
