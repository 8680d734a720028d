/** Simplified Chinese: every area's sentences together, as one file on the wire. */
import type { Words } from "../../lib/i18n";

export { default as server } from "./server";

const areas = import.meta.glob<Words>(["./*.ts", "!./index.ts", "!./server.ts"], { eager: true, import: "default" });

export default Object.assign({}, ...Object.values(areas)) as Words;
