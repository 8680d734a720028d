/** Svelte drops the white space at both ends of a block: `{#if a}{a} · {/if}{b}` shows as "a ·b". Such a space is lost, and words are stuck together. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { parse, type AST } from "svelte/compiler";

type Node = { type: string; data?: string } & Record<string, unknown>;
const isSpace = (node: Node | undefined, at: "start" | "end") => node?.type === "Text" && (at === "start" ? /^\s/ : /\s$/).test(node.data ?? "");
// A space on a line of its own is how a template is laid out; one beside words is meant.
const isMeant = (node: Node | undefined, at: "start" | "end") => node?.type === "Text" && (at === "start" ? /^ (?!\s*\n)/ : /(?<!\n\s*) $/).test(node.data ?? "");

/** What stands at the ends of blocks and was meant to keep them apart from their neighbours. */
function lost(nodes: Node[], inside: boolean): string[] {
  return nodes.flatMap((node, i) => {
    const parts = ["consequent", "alternate", "body", "fragment", "fallback"].flatMap((name) => {
      const part = node[name] as { nodes?: Node[] } | undefined | null;
      return part?.nodes ? [part.nodes] : [];
    });
    const block = /^(If|Each|Key)Block$/.test(node.type);
    const [before, after] = [nodes[i - 1], nodes[i + 1]];
    const here = block
      ? parts.flatMap((part) => [
          ...((before || inside) && !isSpace(before, "end") && isMeant(part[0], "start") ? [`before ${part[0].data}`] : []),
          ...((after || inside) && !isSpace(after, "start") && isMeant(part[part.length - 1], "end") ? [`after ${part[part.length - 1].data}`] : []),
        ])
      : [];
    return [...here, ...parts.flatMap((part) => lost(part, block))];
  });
}

const templates = import.meta.glob<string>("./**/*.svelte", { query: "?url", import: "default" });
const faults = (source: string) => lost((parse(source, { modern: true }) as AST.Root).fragment.nodes as unknown as Node[], false);

it("finds a space that is lost", () => {
  expect(faults("<p>{#if a}{a} · {/if}{b}</p>")).toHaveLength(1);
  expect(faults("<p>{a}{#if b} <b>{b}</b>{/if}</p>")).toHaveLength(1);
  expect(faults("<p>{a} {#if b}<b>{b}</b>{/if} {c}</p><p>\n  {#if a}\n    {a}\n  {/if}\n</p>")).toEqual([]);
});

it.each(Object.keys(templates))("keeps words apart in %s", (path) => {
  expect(faults(readFileSync(new URL(path, import.meta.url), "utf8"))).toEqual([]);
});
