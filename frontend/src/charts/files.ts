/** Files of what a panel shows, as the browser keeps them. What makes those of a chart is in save.ts, fetched when one is asked for. */
export const FORMATS = ["png", "svg", "csv"] as const;
export type Format = (typeof FORMATS)[number];

export function saveBlob(blob: Blob, title: string, format: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${fileName(title)}.${format}`;
  link.click();
  // The download has begun when the click returns; its address has to outlive that by a little.
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** What every file system takes of a title. */
export const fileName = (title: string): string => title.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[-.]+|[-.]+$/g, "").slice(0, 80) || "chart";
