"""The benchmark for a GPU, with the CPU in its place: what is the same agrees, what is not does not."""

import gpu
import pytest
import torch
from common import CPU
from gpu import AGREE, PATHS, Path, agreement

from pinnlora.errors import UserError

ALIKE = [path for path in PATHS if path.alike]


@pytest.mark.parametrize("path", ALIKE[1::4], ids=lambda path: path.name)
def test_the_same_steps_agree(path):
    assert agreement(path, CPU, 2, 8) == 0.0


def test_another_device_that_is_wrong_by_a_little_is_seen(monkeypatch):
    """The second learner begins 1e-6 beside the first."""
    real, made = Path.learner, []

    def learner(self, *given):
        made.append(real(self, *given))
        if len(made) == 2:
            made[-1].theta.data.mul_(1 + 1e-6)
        return made[-1]

    monkeypatch.setattr(Path, "learner", learner)
    assert agreement(ALIKE[0], CPU, 1, 8) > 10 * AGREE


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line():
    with pytest.raises(UserError, match=r"^torch sees no GPU here: nothing to compare$"):
        gpu.main(type("Options", (), {"self_test": False, "quick": True, "steps": 1}))
