// Writes dist/sources.sha256: a digest of every file that the build depends on. A Python test recomputes
// it without Node and fails when the committed build is older than its sources.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folders = ["src", "public"];
const files = ["index.html", "package.json", "package-lock.json", "svelte.config.js", "tsconfig.json", "vite.config.js"];

function walk(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}

// Tests are no part of what ships.
const sources = [...folders.flatMap(walk), ...files].filter((path) => !path.endsWith(".test.ts")).sort();
const digest = createHash("sha256");
for (const path of sources) {
  digest.update(`${path}\0`);
  digest.update(readFileSync(join(root, path)));
  digest.update("\0");
}
writeFileSync(join(root, "dist", "sources.sha256"), `${digest.digest("hex")}\n`);
