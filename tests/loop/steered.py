"""A training through the SDK's loop with the controller's side of it in the same process.

The controller's side is the benchmark's: production's decisions over what the run itself told, orders applied at step
boundaries. Ticks come by steps.
"""

import scaleweb_sdk.torch
from benchmarks.control.site import Site
from control.guards import Limits
from control.proposals import Goal
from scaleweb_sdk.run import Run


class SteeredLoop:
    """`run(loss_of, steps)` trains on; `sizes`: (step, samples) of every batch that was computed."""

    def __init__(self, model, optimizer, loader, policies, settings=None, cooldown=20, **attach):
        self.telling = Run()
        self.loop = scaleweb_sdk.torch.attach(self.telling, model, optimizer, loader, **attach)
        self.site = Site(
            self.telling, policies, Goal("loss", "min"), settings, Limits(cooldown_steps=cooldown)
        )
        self.sizes = []

    def run(self, loss_of, steps, every=20, each=lambda step, batch: None):
        ticked = self.loop.step
        for step, batch in self.loop.batches(steps):
            with self.loop.guard():
                each(step, batch)
                self.loop.backward(loss_of(batch))
                self.sizes.append((step, len(batch[0])))
            if self.loop.step >= ticked + every:
                ticked = self.loop.step
                self.site.tick()
        return self

    @property
    def values(self):
        return {name: tunable.value for name, tunable in self.telling.tunables.items()}

    def decisions(self, policy):
        return [made.past for made in self.site.made if made.past.policy == policy]

    def mean(self, key, last=50):
        window = self.site.observe().windows[key]
        return float(window.values[-last:].mean())
