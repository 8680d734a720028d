"""Optuna's pruners over curves that were computed before; run by the Python of an environment that has Optuna alone.

In, as JSON on standard input: {"steps": [...], "rows": {seed: [[loss of a setting at each of the steps]...]}, "first":
step of the first rung, "factor"}. Out: {pruner: {seed: {"steps": trained in all, "pick": number of the setting}}}.
"""

import json
import sys

import optuna


def main() -> None:
    given = json.load(sys.stdin)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    first, factor = given["first"], given["factor"]
    pruners = {
        "asha": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=factor),
        "hyperband": lambda: optuna.pruners.HyperbandPruner(
            min_resource=first, max_resource=given["steps"][-1], reduction_factor=factor
        ),
    }
    answer = {
        name: {
            seed: searched(make(), given["steps"], rows, int(seed)) for seed, rows in given["rows"].items()
        }
        for name, make in pruners.items()
    }
    json.dump(answer, sys.stdout)


def searched(pruner: optuna.pruners.BasePruner, steps: list[int], rows: list[list[float]], seed: int) -> dict:
    """One search of the grid in Optuna's own order: how many steps were trained, and what it takes for the best."""
    trained = 0

    def objective(trial: optuna.Trial) -> float:
        nonlocal trained
        number = trial.suggest_categorical("setting", list(range(len(rows))))
        before = 0
        for step, loss in zip(steps, rows[number], strict=True):
            trained += step - before
            before = step
            trial.report(loss, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return rows[number][-1]

    sampler = optuna.samplers.GridSampler({"setting": list(range(len(rows)))}, seed=seed)
    # Hyperband draws a trial's bracket from the name of its study.
    study = optuna.create_study(sampler=sampler, pruner=pruner, study_name=f"seed {seed}")
    study.optimize(objective, n_trials=len(rows))
    return {"steps": trained, "pick": study.best_trial.params["setting"]}


if __name__ == "__main__":
    main()
