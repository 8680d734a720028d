/** What a page asks first, asked while its file is fetched: the two need not wait for each other. */
import * as api from "../api";
import { askAhead } from "../api/client";
import type { Route } from "../lib/route";

export function askFor({ page, parameters }: Route): void {
  askAhead(() => {
    if (page === "overview") return [api.overview(), api.experiments({})];
    if (page === "experiment") return [api.experiment(parameters.id), api.runs({ experiment: parameters.id })];
    if (page === "run") return [api.run(parameters.code), api.keys(parameters.code)];
    return [];
  });
}
