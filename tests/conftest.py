"""Shared by all tests: one torch thread, and no figure left open from one test to the next."""

import sys
from collections.abc import Iterator

import pytest
import torch

torch.set_num_threads(1)  # results and times do not depend on neighbours


@pytest.fixture(autouse=True)
def _no_open_figures() -> Iterator[None]:
    """pyplot warns of more than twenty, and which tests share a process differs from run to run."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
