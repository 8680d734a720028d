"""Numbers that a GPU still computes are logged without waiting for it, and come out right."""

import pytest
import torch

import scaleweb_sdk
from scaleweb_sdk.spool import Spool
from scaleweb_sdk.thinning import numbers

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU here"),
]


def test_a_value_on_a_stream_of_its_own_is_the_one_it_had_at_the_call(tmp_path):
    run = scaleweb_sdk.init(mode="offline", dir=tmp_path, capture=False)
    value = torch.zeros((), device="cuda")
    load = torch.randn(4096, 4096, device="cuda")
    with torch.cuda.stream(torch.cuda.Stream()):
        for step in range(200):
            load = load @ load / 64  # what the copy has to wait for
            value += 1
            run.log({"value": value}, step=step)
    run.finish()
    (folder,) = tmp_path.iterdir()
    found = [v for batch in Spool(folder).after(0) for c in batch.packed for v in numbers("d", c.values)]
    assert found[:200] == [float(step + 1) for step in range(200)]
