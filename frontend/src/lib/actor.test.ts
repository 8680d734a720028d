import { expect, it } from "vitest";
import { actorName } from "./actor";

it.each([
  ["ada", "ada"],
  ["system", "the site"],
  ["the process", "the process"],
  ["process 0", "the process"],
  ["process 3", "process 3"],
  ["controller:learning_rate", "controller (Learning rate)"],
])("calls %s %s", (actor, name) => expect(actorName(actor)).toBe(name));
