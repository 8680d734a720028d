// The made-up world: experiments, runs that train, nodes that get warm.
const iso = (secondsAgo = 0) => new Date(Date.now() - secondsAgo * 1000).toISOString();
let noise = 42;
const random = () => ((noise = (noise * 1664525 + 1013904223) % 4294967296) / 4294967296);

export function world() {
  const site = {
    me: { username: "ada", is_admin: true, version: "0.1.0", projects: [{ slug: "vision", name: "Vision", role: "admin" }] },
    series: new Map(), faded: new Map(), listeners: new Set(), runs: [], jobs: [], nodes: nodes(), next: 100,
    tokens: [{ id: 1, name: "laptop", prefix: "sw_user_Ab3d", created_at: iso(86400 * 3), expires_at: null, last_used_at: iso(120) }],
    experiments: [experiment(1, "digits-cnn", "accuracy", "max", "act"), experiment(2, "gpt-library", "loss", "min", "advise"), experiment(3, "cartpole", "reward", "max", "off")],
    listen(listener) {
      this.listeners.add(listener);
      return () => this.listeners.delete(listener);
    },
    tell(topic, frame) {
      for (const listener of this.listeners) listener(topic, frame);
    },
    changed(run, what, data) {
      this.tell(`run:${run.code}`, { type: "changed", what, at: Date.now() / 1000, data });
      this.tell(`experiment:${run.experiment}`, { type: "changed", what, at: Date.now() / 1000, data: { code: run.code, ...(what === "run" ? data : {}) } });
    },
  };
  const states = ["running", "running", "finished", "failed", "paused", "finished", "stopped", "queued", "lost", "finished", "running", "finished"];
  states.forEach((state, i) => site.runs.push(makeRun(site, i, state)));
  Object.assign(site, methods(site));
  setInterval(() => site.runs.filter((run) => run.state === "running").forEach((run) => train(site, run, 2)), 400);
  return site;
}

function experiment(id, name, metric, direction, mode) {
  return {
    id, project: "vision", slug: name, name, notes: "", goal_metric: metric, goal_direction: direction, goal_target: direction === "max" ? 0.99 : 1.2,
    budget_device_hours: null, deadline: null, archived: false, created_at: iso(86400 * id), created_by: "ada", controller_mode: mode,
    controller: {
      mode, policies: { divergence: { enabled: true, factor: 3 } }, guards: { max_factor: 10, cooldown_steps: 50, max_changes: 50, hands_off_seconds: 300 }, changed_at: iso(900),
      available: [
        { name: "divergence", summary: "Rolls back and lowers the learning rate when the loss explodes or stops being a number.", defaults: { enabled: true, factor: 3 } },
        { name: "learning_rate", summary: "Tries the learning rate up and down and keeps what makes faster progress; lowers it on a plateau.", defaults: { enabled: true, patience: 400 } },
      ],
    },
  };
}

function makeRun(site, i, state) {
  const code = `r${"bcdfghjkmnpq"[i]}7k2m${i}x`.slice(0, 9);
  const group = i % 3 === 2 ? 2 : 1;
  const lr = [0.003, 0.3, 0.001, 0.5, 0.01, 0.002, 0.03, 0.001, 0.006, 0.0003, 0.02, 0.05][i];
  const run = {
    code, name: ["calm-heron", "bold-otter", "tiny-gpt", "steep-rate", "slow-walker", "gpt-wide", "night-shift", "in-line", "gpt-lost", "steady-hand", "warm-start", "gpt-deep"][i],
    experiment: group, experiment_name: site.experiments[group - 1].name, project: "vision", state, silent: i === 10,
    config: { lr, batch_size: [64, 128, 32][i % 3], seed: i, model: { kind: group === 2 ? "gpt" : "cnn", layers: 2 + (i % 3), width: 64 }, data: { augment: true, workers: 2, path: null }, schedule: "cosine" },
    tags: i % 2 ? ["sweep"] : ["baseline", "demo"], notes: "", created_by: "ada", created_at: iso(4000 - i * 100), started_at: state === "queued" ? null : iso(3600 - i * 200),
    ended_at: ["finished", "failed", "stopped", "lost"].includes(state) ? iso(400) : null, last_seen_at: iso(2), last_step: 0, parent: null, parent_step: null,
    branches: [{ index: 0, from_step: 0, reason: "start" }], summary: {}, actions: [{ name: "render sample", description: "Draw nine digits and their labels" }],
    process: { hostname: "node-a", pid: 4711 + i, argv: ["python", "-m", "training.trainers.cnn", "--lr", String(lr)], python: "3.11.9", git: "45fed38" }, job: null, can: "admin",
    tunables: [
      tunable("lr", "float", lr, 1e-6, 1, "log", "learning_rate", "Multiplied into what the schedule sets"),
      tunable("batch_size", "int", 64, 8, 512, "log", "batch_size", "Samples per optimiser step"),
      tunable("weight_decay", "float", 0.01, 0, 0.1, "linear", "weight_decay", ""),
      tunable("augment", "bool", true, null, null, "linear", "", "Shift and rotate the digits"),
      { ...tunable("optimiser", "choice", "adamw", null, null, "linear", "", ""), choices: ["adamw", "sgd", "lion"] },
    ],
    commands: [], checkpoints: [], decisions: [], lines: [], level: 2.3, rate: lr,
    events: [{ id: 1, at: iso(3600), step: null, kind: "state", old: "queued", new: "running", reason: "", actor: "system", data: {} }],
  };
  site.series.set(`run:${code}`, new Map());
  if (state === "queued") return run;
  const steps = 1400 + i * 60;
  for (let n = 0; n < steps; n++) train(site, run, 1, 3600 - i * 200 - (n * 3000) / steps, true);
  if (i === 1) story(site, run);
  if (i === 3) {
    for (const key of ["loss", "grad_norm"]) site.series.get(`run:${code}`).get(key).push({ step: run.last_step + 1, time: Date.now() / 1000 - 500, value: NaN, branch: 0 });
    run.events.push({ id: 2, at: iso(500), step: run.last_step, kind: "error", old: "", new: "", reason: "ValueError: loss is NaN", actor: "process", data: { traceback: "Traceback (most recent call last):\n  File \"train.py\", line 41\nValueError: loss is NaN" } });
  }
  return run;
}

function tunable(name, kind, value, low, high, scale, role, description) {
  return { name, kind, value, initial: value, low, high, scale, choices: [], role, description, changed_at: null, changed_step: null, changed_by: "" };
}

// One run whose learning rate was too high, and what the controller made of it.
function story(site, run) {
  const branch = run.last_step - 260;
  const series = site.series.get(`run:${run.code}`);
  for (const point of series.get("loss")) if (point.step > branch - 60 && point.step <= branch) point.value *= 1 + ((point.step - branch + 60) / 18) ** 2;
  for (const points of series.values()) for (const point of points) if (point.step > branch) Object.assign(point, { branch: 1, step: point.step - 60 });
  site.faded.set(`run:${run.code}`, [{ branch: 0, from: branch - 60, to: branch }]);
  run.branches.push({ index: 1, from_step: branch - 60, reason: "rollback" });
  run.last_step -= 60;
  const steps = Array.from({ length: 20 }, (_, i) => branch - 60 + i * 10);
  run.commands.push(
    { ...command(1, "rollback", "", { step: branch - 60 }, "controller:divergence", false), state: "applied", applied_step: branch, applied_at: iso(760), reason: "the loss exploded" },
    { ...command(2, "set", "lr", 0.03, "controller:divergence", false), state: "applied", applied_step: branch - 59, applied_at: iso(758), old_value: 0.3, new_value: 0.03 },
    { ...command(3, "set", "batch_size", 4096, "ada", true), state: "rejected", message: "batch_size=4096 is outside 8..512" },
  );
  Object.assign(run.tunables[0], { value: 0.03, changed_at: iso(758), changed_step: branch - 59, changed_by: "controller:divergence" });
  run.decisions.push(
    {
      id: 2, run: run.code, policy: "learning_rate", state: "proposed", mode: "advise", verb: "set", tunable: "lr", old_value: 0.03, new_value: 0.015, reason: "Progress slowed to 0.4 % per 100 steps over the last 300; half the rate did better after the last two plateaus.",
      evidence: { window: [branch - 20, branch + 180], progress_per_100_steps: 0.004, trials: 2 }, expected: { metric: "loss", effect: -0.04, low: -0.07, high: -0.01, unit: "" }, forecast: {}, decided_step: branch + 180, judge_at_step: branch + 480,
      created_at: iso(40), blocked_by: "", command: null, undo_command: null, verdict: "", measured: {}, judged_at: null,
    },
    {
      id: 1, run: run.code, policy: "divergence", state: "judged", mode: "act", verb: "rollback", tunable: "lr", old_value: 0.3, new_value: 0.03, reason: `The loss rose from 0.61 to 6.9 within 60 steps, 9.4 spreads above its trend. Went back to step ${branch - 60} and lowered the learning rate tenfold.`,
      evidence: { window: [branch - 120, branch], loss_before: 0.61, loss_now: 6.9, spreads_above_trend: 9.4 }, expected: { metric: "loss", effect: -6.2, low: -6.6, high: -4.1, unit: "" },
      forecast: { metric: "loss", steps, mean: steps.map((_, i) => 6.9 + i * 0.1), low: steps.map((_, i) => 5 - i * 0.02), high: steps.map((_, i) => 9 + i * 0.25) },
      decided_step: branch, judge_at_step: branch + 130, created_at: iso(765), blocked_by: "", command: 1, undo_command: null, verdict: "better", measured: { metric: "loss", measured: 0.52, forecast: 8.7, difference: -8.18, low: 4.7, high: 13.2, sentence: "The loss is 0.52 where 8.7 was forecast without the change." }, judged_at: iso(300),
    },
  );
  run.events.push({ id: 3, at: iso(760), step: branch, kind: "branch", old: "0", new: "1", reason: "rollback", actor: "controller:divergence", data: {} });
}

function command(seq, verb, tunable, value, askedBy, byPerson) {
  return { id: seq * 10, seq, verb, tunable, value, asked_by: askedBy, by_person: byPerson, reason: "", origin: "", state: "pending", created_at: iso(760), sent_at: iso(760), applied_at: null, applied_step: null, old_value: null, new_value: null, message: "" };
}

function train(site, run, steps, secondsAgo = 0, quiet = false) {
  const series = site.series.get(`run:${run.code}`);
  const frame = {};
  const branch = run.branches.at(-1).index;
  for (let n = 0; n < steps; n++) {
    run.last_step += 1;
    run.level += (0.22 / Math.sqrt(1 + run.last_step / 40) - run.level * 0.02) * 0.08 + (run.rate > 0.4 ? 0.004 : 0);
    const spread = 0.05 + Math.min(0.2, run.rate);
    const loss = Math.max(0.01, run.level * (1 + (random() - 0.5) * spread));
    const values = {
      loss, accuracy: 1 / (1 + loss * 0.6) - random() * 0.01, lr: run.rate * (0.55 + 0.45 * Math.cos(run.last_step / 600)), grad_norm: loss * 3 * (0.7 + random()),
      _step_seconds: 0.021 + random() * 0.004, _data_wait_seconds: 0.003 + random() ** 6 * 0.03, _samples_per_second: 2800 + random() * 300, _process_memory_bytes: 4.1e8 + run.last_step * 2e3, _process_cpu_ratio: 0.9 + random() * 0.1,
      ...(run.last_step % 50 === 0 ? { "val/loss": loss * 1.1, "val/accuracy": 1 / (1 + loss * 0.7) } : {}),
    };
    for (const [key, value] of Object.entries(values)) {
      const point = { step: run.last_step, time: Date.now() / 1000 - secondsAgo, value, branch };
      if (!series.has(key)) series.set(key, []);
      series.get(key).push(point);
      run.summary[key] = value;
      const column = (frame[key] ??= { step: [], time: [], value: [] });
      for (const name of Object.keys(column)) column[name].push(point[name]);
    }
    if (run.last_step % 20 === 0) {
      const line = [Date.now() / 1000 - secondsAgo, random() < 0.05 ? "stderr" : "stdout", `step ${run.last_step}  \u001b[32mloss ${loss.toFixed(4)}\u001b[0m  acc ${values.accuracy.toFixed(3)}`];
      run.lines.push(line);
      if (!quiet) site.tell(`run:${run.code}`, { type: "lines", lines: [line] });
    }
    if (run.last_step % 300 === 0) {
      const checkpoint = { id: site.next++, step: run.last_step, branch, path: `/data/checkpoints/${run.code}/${run.last_step}.pt`, size_bytes: 1.9e6, sha256: "9f2c".repeat(16), metrics: { loss, accuracy: values.accuracy }, reason: "every 300 steps", created_at: iso(secondsAgo), pinned: false, available: run.last_step > 600 };
      run.checkpoints.unshift(checkpoint);
      if (!quiet) site.changed(run, "checkpoint", checkpoint);
    }
  }
  run.last_seen_at = iso(0);
  if (!quiet) site.tell(`run:${run.code}`, { type: "points", branch, columns: frame });
}

function nodes() {
  const gpu = (index, busy, run) => ({
    kind: "gpu", index, name: "NVIDIA H100 80GB HBM3", uuid: `GPU-${index}f3a`, memory_total_bytes: 85_899_345_920, healthy: index !== 3, health_reason: index === 3 ? "XID 79: the GPU has fallen off the bus" : "",
    latest: { utilisation_ratio: busy, memory_used_bytes: busy * 7e10, memory_total_bytes: 85_899_345_920, power_watts: 90 + busy * 560, power_limit_watts: 700, temperature_celsius: 34 + busy * 40, sm_clock_hertz: 1.98e9, throttle_ratio: 0, ecc_uncorrected_count: 0 },
    processes: run ? [{ pid: 4711, memory_used_bytes: 5e10, run }] : [], busy_with: run,
  });
  const node = (name, state, devices, load) => ({
    name, hostname: `${name}.lab`, state, drained: name === "node-c", labels: { rack: "2" }, system: { cpu_count: 64, memory_bytes: 5.4e11, os: "Debian 12", python: "3.11.9", gpu_driver: "560.35" }, devices, last_seen_at: iso(state === "online" ? 1 : 300),
    latest: { cpu_utilisation_ratio: load, memory_used_bytes: load * 4e11, memory_total_bytes: 5.4e11, disk_used_bytes: 1e12, disk_total_bytes: 4e12, load_1m: load * 64, network_receive_bytes_per_second: 3e6, network_send_bytes_per_second: 1e6 },
  });
  const cpu = (index) => ({ kind: "cpu", index, name: "CPU slot", uuid: "", memory_total_bytes: null, healthy: true, health_reason: "", latest: {}, processes: [], busy_with: index ? null : "rb7k2m0x" });
  return [node("node-a", "online", [gpu(0, 0.97, "rb7k2m0x"), gpu(1, 0.88, "rc7k2m1x"), gpu(2, 0.02, null), gpu(3, 0, null)], 0.42), node("node-b", "silent", [cpu(0), cpu(1)], 0.9), node("node-c", "online", [cpu(0)], 0.1)];
}

const methods = (site) => ({
  shown: ({ tunables, commands, checkpoints, decisions, events, lines, level, rate, ...run }) => run,
  keys: (run) => [...site.series.get(`run:${run.code}`)].map(([key, points]) => ({ key, points: points.length, first_step: points[0].step, last_step: points.at(-1).step, last_value: points.at(-1).value, last_time: points.at(-1).time, low: 0, high: 1, non_finite: 0 })),
  overview() {
    for (const each of site.experiments) {
      each.run_counts = {};
      for (const run of site.runs) if (run.experiment === each.id) each.run_counts[run.state] = (each.run_counts[run.state] ?? 0) + 1;
    }
    const of = (...states) => site.runs.filter((run) => states.includes(run.state)).map(site.shown);
    return { running: of("running", "paused"), queued: 1, needs_attention: of("failed", "lost"), nodes: { online: 2, silent: 1, lost: 0 }, devices: { total: 7, busy: 3 }, store: { points: 1_834_221, bytes: 6_400_000 }, controller: { changes: 12, better: 7, worse: 1, undone: 3, waiting: 1 } };
  },
  createExperiment(body) {
    if (!body.name) return [400, { detail: "", fields: { name: ["A name is needed: 1 to 200 characters."] } }];
    const made = { ...experiment(site.experiments.length + 1, body.name, body.goal_metric ?? "", body.goal_direction ?? "min", "off"), run_counts: {} };
    site.experiments.unshift(made);
    return [201, made];
  },
  marks: (run) => [
    ...run.commands.filter((each) => each.state === "applied").map((each) => ({ kind: "command", id: each.id, step: each.applied_step, at: each.applied_at, label: each.verb === "set" ? `${each.tunable} ${each.old_value} → ${each.new_value}, by ${each.asked_by}` : `${each.verb}, by ${each.asked_by}`, tone: "accent" })),
    ...run.decisions.map((each) => ({ kind: "decision", id: each.id, step: each.decided_step, at: each.created_at, label: `${each.policy}: ${each.reason.slice(0, 60)}`, tone: each.verdict === "better" ? "good" : "warn" })),
    ...run.checkpoints.map((each) => ({ kind: "checkpoint", id: each.id, step: each.step, at: each.created_at, label: `checkpoint at step ${each.step}`, tone: "quiet" })),
    ...run.events.filter((each) => each.step !== null).map((each) => ({ kind: "event", id: each.id, step: each.step, at: each.at, label: `${each.kind}: ${each.reason}`, tone: each.kind === "error" ? "bad" : "quiet" })),
  ],
  command(run, body) {
    const found = run.tunables.find((each) => each.name === body.tunable);
    if (body.verb === "set" && found?.high != null && (body.value > found.high || body.value < found.low)) return [400, { detail: "", fields: { value: [`${body.tunable}=${body.value} is outside ${found.low}..${found.high}`] } }];
    const made = { ...command(run.commands.length + 1, body.verb, body.tunable ?? "", body.value ?? null, "ada", true), id: site.next++, reason: body.reason ?? "", created_at: iso(0), sent_at: null };
    run.commands.unshift(made);
    const later = (milliseconds, changes) => setTimeout(() => site.changed(run, "command", Object.assign(made, changes())), milliseconds);
    later(300, () => ({ state: "sent", sent_at: iso(0) }));
    later(900, () => {
      const old = found?.value ?? null;
      if (body.verb === "set") Object.assign(found, { value: body.value, changed_at: iso(0), changed_step: run.last_step, changed_by: "ada" });
      if (body.tunable === "lr") run.rate = body.value;
      const next = { pause: "paused", resume: "running", stop: "stopped" }[body.verb];
      if (next) site.changed(run, "run", { code: run.code, state: (run.state = next) });
      if (body.verb === "rollback") roll(site, run, body.value);
      return { state: "applied", applied_at: iso(0), applied_step: run.last_step, old_value: old, new_value: body.value ?? null };
    });
    return [201, made];
  },
  decide(id, what) {
    const decision = site.runs.flatMap((run) => run.decisions).find((each) => each.id === id);
    decision.state = { approve: "sent", reject: "rejected", undo: "undone" }[what];
    return decision;
  },
  queue() {
    const job = (run, i, state) => ({ code: `j${run.code}`, run: run.code, run_name: run.name, run_state: run.state, experiment: run.experiment, project: "vision", argv: run.process.argv, device_kind: "gpu", min_devices: 1, max_devices: 1, priority: i, max_retries: 2, retries_used: 0, state, waiting_reason: state === "queued" ? "1 gpu is needed and 0 are free; first in line" : "", submitted_by: "ada", submitted_at: iso(600), ended_at: null, attempts: state === "queued" ? [] : [{ number: 1, node: "node-a", devices: ["gpu0"], state: "running", outcome: "", exit_code: null, signal: "", first_error_line: "", created_at: iso(590), started_at: iso(585), ended_at: null }] });
    site.jobs = [...site.runs.filter((run) => run.state === "queued").map((run, i) => job(run, i, "queued")), ...site.runs.filter((run) => run.state === "running").map((run, i) => job(run, i, "active"))];
    return { waiting: site.jobs.filter((each) => each.state === "queued"), active: site.jobs.filter((each) => each.state === "active"), devices: { total: 7, busy: 3 } };
  },
  submit: (body) => (body.argv?.length ? [201, { ...site.queue().active[0], argv: body.argv }] : [400, { detail: "", fields: { argv: ["A command is needed: a list of at least one word."] } }]),
});

function roll(site, run, value) {
  const to = run.checkpoints.find((each) => each.id === (value?.checkpoint ?? value))?.step ?? 0;
  site.faded.set(`run:${run.code}`, [...(site.faded.get(`run:${run.code}`) ?? []), { branch: run.branches.at(-1).index, from: to, to: run.last_step }]);
  run.branches.push({ index: run.branches.at(-1).index + 1, from_step: to, reason: "rollback" });
  run.last_step = to;
}
