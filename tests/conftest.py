"""Shared by all tests: one torch thread, so that results and times do not depend on neighbours."""

import torch

torch.set_num_threads(1)
