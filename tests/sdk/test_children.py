"""Loaders and other processes that a training starts or forks."""

import os
import textwrap

import pytest

from tests.sdk.kept import read, script


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_loader_workers_may_hold_the_run_and_its_settings(tmp_path, context):
    (tmp_path / "data.py").write_text(
        textwrap.dedent(
            """
            import torch

            class Data(torch.utils.data.Dataset):
                def __init__(self, run, noise):
                    self.run, self.noise = run, noise
                def __len__(self):
                    return 64
                def __getitem__(self, index):
                    self.run.log({"from a worker": 1.0}); print("in a worker")
                    assert not self.run._records or self.run.link
                    return torch.tensor(float(self.noise))
            """
        )
    )
    done = script(
        tmp_path / "spool",
        f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import torch, scaleweb_sdk
        from data import Data
        if __name__ == "__main__":
            run = scaleweb_sdk.init()
            data = Data(run, run.tunable("noise", 0.5, low=0.0, high=1.0))
            loader = torch.utils.data.DataLoader(data, num_workers=1, multiprocessing_context={context!r}, batch_size=8)
            for epoch in range(2):
                for batch in loader:
                    assert batch.mean() == 0.5
                    run.step({{"loss": 1.0}})
            run.finish()
        """,
    )
    assert done.returncode == 0, done.stderr
    points, events, lines = read(tmp_path / "spool")
    assert points["loss"] == [(step, 1.0) for step in range(16)]
    assert "from a worker" not in points
    assert events[-1].kind == "finish"
    assert not [text for _, text in lines if "in a worker" in text]


def test_a_forked_child_that_outlives_the_training_does_not_hold_its_spool(tmp_path):
    done = script(
        tmp_path,
        """
        import os, sys, time, scaleweb_sdk
        run = scaleweb_sdk.init()
        for _ in range(2000): run.step({"loss": 1.0})
        child = os.fork()
        if not child:
            run.finish(); run.log({"loss": 2.0}); sys.stdout.close(); sys.stderr.close(); os.close(1); os.close(2)
            time.sleep(20); os._exit(0)
        run.finish(); print(child, flush=True)
        """,
    )
    child = int(done.stdout.split()[-1])
    try:
        points, events, _ = read(tmp_path)  # would be refused as in use
        assert len(points["loss"]) == 2000
        assert [event.kind for event in events] == ["finish"]
    finally:
        os.kill(child, 9)
