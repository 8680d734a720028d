// A stand-in for the site while only the front end is worked on: `npm run dev` without SCALEWEB_URL. It answers with the
// shapes of docs/contracts.md and keeps everything in memory. What it draws is made up; it is never part of the build.
import { WebSocketServer } from "ws";
import { world } from "./world.js";
import { encode } from "./columns.js";
import { read } from "./series.js";

export function mockSite() {
  return {
    name: "mock-site",
    configureServer(server) {
      const site = world();
      const sockets = new WebSocketServer({ noServer: true });
      server.httpServer?.on("upgrade", (request, socket, head) => {
        if (request.url.startsWith("/ws/live")) sockets.handleUpgrade(request, socket, head, (ws) => viewer(ws, site));
      });
      server.middlewares.use(async (request, response, next) => {
        const url = new URL(request.url, "http://mock");
        if (!url.pathname.startsWith("/api/v1/")) return next();
        const body = await bodyOf(request);
        const [status, answer] = route(site, request.method, url.pathname.slice(8), url.searchParams, body);
        response.statusCode = status;
        const bytes = Buffer.isBuffer(answer);
        response.setHeader("Content-Type", bytes ? "application/x-scaleweb-columns" : "application/json");
        response.end(bytes ? answer : status === 204 ? "" : JSON.stringify(answer));
      });
    },
  };
}

async function bodyOf(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}

function viewer(ws, site) {
  const topics = new Map();
  const stop = site.listen((topic, frame) => {
    if (!topics.has(topic)) return;
    topics.set(topic, topics.get(topic) + 1);
    ws.send(JSON.stringify({ ...frame, topic, n: topics.get(topic) }));
  });
  ws.on("close", stop);
  ws.on("message", (data) => {
    const frame = JSON.parse(data);
    if (frame.type === "ping") ws.send('{"type":"pong"}');
    if (frame.type === "subscribe") {
      for (const topic of frame.topics) topics.set(topic, 0);
      ws.send(JSON.stringify({ type: "subscribed", topics: frame.topics, refused: [] }));
    }
    if (frame.type === "unsubscribe") for (const topic of frame.topics) topics.delete(topic);
  });
}

const list = (results) => [200, { next: null, previous: null, results }];
const missing = [404, { detail: "Not found.", fields: {} }];

function route(site, method, path, query, body) {
  const parts = path.replace(/\/$/, "").split("/").map(decodeURIComponent);
  const [kind, id, what] = parts;
  if (kind === "me") return [200, site.me];
  if (kind === "overview") return [200, site.overview()];
  if (kind === "series") return [200, encode(read(site, body))];
  if (kind === "experiments") return experiments(site, method, id, what, query, body);
  if (kind === "runs") return runs(site, method, id, what, query, body);
  if (kind === "decisions") return [200, site.decide(Number(id), what)];
  if (kind === "queue") return [200, site.queue()];
  if (kind === "jobs" && method === "POST" && !id) return site.submit(body);
  if (kind === "jobs") return [200, site.jobs.find((job) => job.code === id)];
  if (kind === "nodes") return id ? [200, site.nodes.find((node) => node.name === id)] : list(site.nodes);
  if (kind === "tokens") return method === "POST" ? [201, { id: 9, ...body, prefix: "sw_user_9fK2", created_at: new Date(), token: "sw_user_9fK2made-up-token" }] : method === "DELETE" ? [204] : list(site.tokens);
  return missing;
}

function experiments(site, method, id, what, query, body) {
  if (!id) return method === "POST" ? site.createExperiment(body) : list(site.experiments);
  const experiment = site.experiments.find((each) => each.id === Number(id));
  if (!experiment) return missing;
  if (what === "controller") {
    if (method === "PATCH") Object.assign(experiment.controller, body);
    experiment.controller_mode = experiment.controller.mode;
    return [200, experiment.controller];
  }
  if (method === "PATCH") Object.assign(experiment, body);
  return [200, experiment];
}

function runs(site, method, code, what, query, body) {
  if (!code) {
    const wanted = query.get("experiment");
    return list(site.runs.filter((run) => !wanted || run.experiment === Number(wanted)).map((run) => site.shown(run)));
  }
  const run = site.runs.find((each) => each.code === code);
  if (!run) return missing;
  if (!what && method === "PATCH") Object.assign(run, body);
  if (!what) return [200, site.shown(run)];
  if (what === "keys") return [200, site.keys(run)];
  if (what === "commands" && method === "POST") return site.command(run, body);
  if (what === "replay") return [200, { decisions: run.decisions.map((each) => ({ ...each, id: null, state: "recorded" })), problems: {}, moments: 120 }];
  if (what === "logs") {
    const start = Number(query.get("start") ?? -500);
    const search = query.get("search") ?? "";
    const lines = run.lines.filter((line) => line[2].includes(search));
    const first = start < 0 ? Math.max(0, lines.length + start) : start;
    return [200, { first_line: first, total: lines.length, lines: lines.slice(first, first + Number(query.get("count") ?? 500)) }];
  }
  if (what === "marks") return [200, site.marks(run)];
  return run[what] ? list(run[what]) : missing;
}
