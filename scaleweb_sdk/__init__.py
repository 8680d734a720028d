"""ScaleWeb's SDK: record a training run, see it live, steer it while it runs.

    import scaleweb_sdk

    run = scaleweb_sdk.init(experiment="digits", config={"width": 32})
    lr = run.tunable("lr", 1e-3, low=1e-6, high=1.0, scale="log", role="learning_rate")
    for batch in loader:
        loss = train(batch, float(lr))
        run.step({"loss": loss})
    run.finish()

Nothing in here raises into training because of the server, waits for it, or loses a point.
"""

from importlib import import_module
from types import ModuleType

from .run import Run
from .start import init
from .tunables import BadValue, Tunable

__version__ = "0.1.0"
__all__ = ["BadValue", "Run", "Tunable", "init"]


def __getattr__(name: str) -> ModuleType:
    """`scaleweb_sdk.torch`, loaded when it is first named: who trains without PyTorch pays nothing for it."""
    if name != "torch":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(".torch", __name__)
