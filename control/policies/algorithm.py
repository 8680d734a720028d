"""Algorithm: make a model that has learned what it will smaller or quicker, where a measurement shows what it costs.

Sees: what the run offers (prune, quantise, compile), the tables it measured, the metric, where the training ends.
Does: on a plateau, or late enough that a verdict still fits in, asks for a dry measurement of the largest share to
prune; goes down to smaller ones until one stays within the script's bound; then prunes, with time left to train on.
Near the end it has the weights exported quantised. Compiles once, where the measured pass gains.

Sources: prune what is least and train on with the rest: Han et al. 2015, arXiv 1506.02626; 8-bit weights after
training: Jacob et al. 2018, arXiv 1712.05877.
Limits: it goes by the held-back metric that the script measures, on the model as it is now. The rate is not raised
again after a pruning, which is known to help (Renda et al. 2020, arXiv 2003.02389).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from control.estimators.tables import effect, faster, figures, share_of, told
from control.estimators.trend import robust_sigma, robust_trend
from control.proposals import ACTED_STATES, Change, Expected, Measurement, Observation, Proposal, Window

THROUGHPUT = "_samples_per_second"
NO_EFFECT = Expected(0.0, 0.0, 0.0)
LEAST_POINTS = 24
# In one of these states a decision was an answer, or got one.
ANSWERED = ACTED_STATES | {"rejected", "expired"}


class Algorithm:
    name = "algorithm"
    summary = "Prunes on a plateau, exports quantised near the end, compiles where it gains: measured first."
    reads = (THROUGHPUT,)
    defaults: Mapping[str, Any] = {
        "enabled": False,
        "may_prune": False,
        "may_quantise": False,
        "try_prune": True,
        "try_quantise": True,
        "try_compile": False,
        "metric": "",
        "amounts": "0.8 0.6 0.4 0.2",
        "structured": False,
        "scheme": "int8-weight-only",
        "plateau_steps": 400,
        "horizon_steps": 400,
        "late_share": 0.7,
        "end_share": 0.9,
        "fresh_steps": 1000,
        "retry_steps": 3000,
        "least_gain": 0.05,
    }

    def propose(self, observation: Observation) -> list[Proposal]:
        parameters, offered = observation.parameters, observation.algorithms or frozenset()
        metric = judged_by(observation)
        if not offered or not metric or any(past.is_open for past in observation.past):
            return []
        found = None
        if parameters["try_compile"] and "compile" in offered:
            found = self._compile(observation, metric)
        if found is None and parameters["try_quantise"] and "quantise" in offered:
            found = self._quantise(observation, metric)
        if found is None and parameters["try_prune"] and "prune" in offered:
            found = self._prune(observation, metric)
        return [] if found is None else [found]

    # -- prune --------------------------------------------------------------------------------------

    def _prune(self, observation: Observation, metric: str) -> Proposal | None:
        parameters = observation.parameters
        horizon = self._horizon(observation, metric)
        end = last_step(observation)
        if end is not None and observation.step + horizon > end:
            return None  # no time to train on and to see what became of it
        why = self._occasion(observation, metric, end)
        if not why or self._asked_lately(observation, "prune"):
            return None
        pruned = max(
            (share_of(m) for m in observation.measured if (m.verb, m.outcome) == ("prune", "switched")),
            default=0.0,
        )
        for amount in shares(str(parameters["amounts"])):
            if amount <= pruned:
                break
            value = {"amount": amount, "structured": bool(parameters["structured"])}
            seen = self._measured(observation, "prune", value)
            if seen is None:
                return self._look(observation, metric, "prune", value, why)
            if seen.within:
                return self._switch(
                    observation, metric, seen, value, horizon,
                    f"{why}; a share of {amount:g} of the weights can be pruned", False,
                )  # fmt: skip
        return None

    def _occasion(self, observation: Observation, metric: str, end: int | None) -> str:
        """Why now, "" when it is too early."""
        if end is not None and observation.step >= float(observation.parameters["late_share"]) * end:
            return f"step {observation.step} of {end} leaves time to train on"
        return plateau(observation.windows[metric], int(observation.parameters["plateau_steps"]), metric)

    # -- quantise -----------------------------------------------------------------------------------

    def _quantise(self, observation: Observation, metric: str) -> Proposal | None:
        end = last_step(observation)
        if end is None or observation.step < float(observation.parameters["end_share"]) * end:
            return None
        if self._asked_lately(observation, "quantise"):
            return None
        value = {"scheme": str(observation.parameters["scheme"])}
        seen = self._measured(observation, "quantise", value)
        why = f"step {observation.step} of {end} is near the end"
        if seen is None:
            return self._look(observation, metric, "quantise", value, why)
        if not seen.within:
            return None
        return self._switch(
            observation, metric, seen, value, 1, f"{why}; the weights can be exported quantised", False
        )

    # -- compile ------------------------------------------------------------------------------------

    def _compile(self, observation: Observation, metric: str) -> Proposal | None:
        """Once in a run, as soon as it goes: what compiling gains is the more the longer it is used."""
        parameters = observation.parameters
        speed = observation.windows.get(THROUGHPUT)
        tried = any(
            past.policy == self.name and past.verb == "compile" and not past.leaves_training
            for past in observation.past
        )
        if tried or speed is None or len(speed) < LEAST_POINTS:
            return None
        value: dict[str, Any] = {}
        seen = self._measured(observation, "compile", value)
        if seen is None:
            return self._look(observation, metric, "compile", value, "the model is not compiled")
        gain = faster(seen)
        if not seen.within or gain is None or gain < float(parameters["least_gain"]):
            return None
        horizon = int(parameters["horizon_steps"]) * speed.stride
        expected = Expected(effect=gain / 2, low=0.0, high=max(gain, 0.0))
        return self._proposal(
            observation, "compile", value, f"a training pass takes {1 / (1 + gain):.2g} of its time when compiled.",
            figures(seen), expected, THROUGHPUT, horizon, True, (metric,),
        )  # fmt: skip

    # -- what they share ----------------------------------------------------------------------------

    def _asked_lately(self, observation: Observation, verb: str) -> bool:
        """Whether it was done, or refused, not long ago: the refusal's table is among the measured ones too."""
        return any(
            past.policy == self.name
            and past.verb == verb
            and not (isinstance(past.new_value, Mapping) and past.new_value.get("dry"))
            and past.state in ACTED_STATES
            and abs(observation.step - past.at_step) <= int(observation.parameters["retry_steps"])
            for past in observation.past
        )

    def _measured(self, observation: Observation, verb: str, value: Mapping[str, Any]) -> Measurement | None:
        """The newest table of this very change that is not too old; a person's dry measurement is as good."""
        fresh = observation.step - int(observation.parameters["fresh_steps"])
        fitting = [
            each
            for each in observation.measured
            if each.verb == verb
            and each.step >= fresh
            and all(each.value.get(name) == wanted for name, wanted in value.items())
        ]
        return fitting[-1] if fitting else None

    def _look(
        self, observation: Observation, metric: str, verb: str, value: Mapping[str, Any], why: str
    ) -> Proposal | None:
        what = ", ".join(f"{name} {each}" for name, each in value.items() if each is not False)
        asked = [
            past
            for past in observation.past
            if past.policy == self.name
            and past.verb == verb
            and past.new_value == {**value, "dry": True}
            and past.state in ANSWERED
            and abs(observation.step - past.at_step) <= int(observation.parameters["fresh_steps"])
        ]
        if asked:
            return None  # it was asked and gave no table: the run said why
        return self._proposal(
            observation, verb, {**value, "dry": True},
            f"{why}: measure what it would do to {verb}{f' ({what})' if what else ''}, and change nothing.",
            {}, NO_EFFECT, metric, 1, False,
        )  # fmt: skip

    def _switch(
        self, observation: Observation, metric: str, seen: Measurement, value: Mapping[str, Any], horizon: int,
        why: str, trial: bool,
    ) -> Proposal:  # fmt: skip
        return self._proposal(
            observation, seen.verb, value, f"{why}: {told(seen)}, measured at step {seen.step}.",
            figures(seen), effect(seen, metric), metric, horizon, trial,
        )  # fmt: skip

    def _proposal(
        self, observation: Observation, verb: str, value: Mapping[str, Any], reason: str, evidence: Mapping[str, Any],
        expected: Expected, metric: str, horizon: int, trial: bool, unharmed: tuple[str, ...] = (),
    ) -> Proposal:  # fmt: skip
        window = observation.windows[metric]
        span = [int(window.steps[0]), int(window.steps[-1])]
        return Proposal(
            policy=self.name, changes=(Change(verb, value=dict(value)),), reason=reason,
            evidence={"window": span, **evidence}, expected=expected, metric=metric, judge_after_steps=horizon,
            trial=trial, unharmed=unharmed,
        )  # fmt: skip

    def _horizon(self, observation: Observation, metric: str) -> int:
        """A metric that is logged now and then needs longer until enough of it has come to be judged."""
        return max(
            int(observation.parameters["horizon_steps"]), LEAST_POINTS * observation.windows[metric].stride
        )


def judged_by(observation: Observation) -> str:
    """The metric that shows afterwards whether it did harm: the goal where enough of it is logged, else the loss."""
    wanted = (str(observation.parameters["metric"]), observation.goal.metric, observation.loss_metric())
    for key in wanted:
        window = observation.windows.get(key)
        if window is not None and int(np.isfinite(window.values).sum()) >= LEAST_POINTS:
            return key
    return ""


def last_step(observation: Observation) -> int | None:
    total = observation.with_role("total_steps")
    if total is None or not isinstance(total.value, int | float) or not total.value > 0:
        return None
    return int(total.value)


def plateau(window: Window, steps: int, metric: str) -> str:
    """That the metric has stopped moving, in words; "" where it moves, or too little is known."""
    wanted = steps * window.stride
    recent = window.after(int(window.steps[-1]) - wanted)
    good = np.isfinite(recent.values)
    if good.sum() < LEAST_POINTS or good.mean() < 0.9:
        return ""
    values = recent.values[good]
    positive = bool(values.min() > 0)
    trend = robust_trend(
        recent.steps[good], np.log(values) if positive else values / max(robust_sigma(values), 1e-12)
    )
    if trend.steps < 0.9 * wanted:
        return ""
    moved = trend.slope * trend.steps
    # Better means that it still learns; what gets worse is another policy's business first.
    if (trend.is_rising or trend.is_falling) and abs(moved) >= (0.02 if positive else 0.5):
        return ""
    size = f"{100 * moved:+.1f} %" if positive else f"{moved:+.2f} times its scatter"
    return f"{metric} has hardly moved in {trend.steps} steps ({size})"


def shares(text: str) -> list[float]:
    """The shares to try, largest first. What is no number in 0..0.99 is left out."""
    found = set()
    for word in text.replace(",", " ").split():
        try:
            share = float(word)
        except ValueError:
            continue
        if 0 < share <= 0.99:
            found.add(share)
    return sorted(found, reverse=True)
