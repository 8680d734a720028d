/** What a page asks first, asked while its file is fetched: the two need not wait for each other. */
import * as api from "../api";
import { askAhead } from "../api/client";
import type { Route } from "../lib/route";
import { firstPage, narrowing } from "./runrows.svelte";
import { firstQuestion } from "./table.svelte";

export function askFor({ page, parameters, query }: Route): void {
  askAhead(() => {
    if (page === "overview") return [api.overview(), api.experiments({})];
    if (page === "experiment") {
      const asked = firstQuestion(parameters.id, query);
      return [api.experiment(parameters.id), api.runPage(firstPage(asked)), api.runCount(narrowing(asked.query))];
    }
    if (page === "run") return [api.run(parameters.code), api.keys(parameters.code)];
    return [];
  });
}
