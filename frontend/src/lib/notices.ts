/** How each kind of notice is called, whom it is about and where it is looked at in full. What is not listed here goes by its run. */
import type { Notice } from "../api/types";
import { policyName } from "./policies";
import { said } from "./said";

export type NoticePlace = Pick<Notice, "kind" | "id" | "run" | "experiment"> & Partial<Notice>;

interface Kind {
  title: (notice: Notice) => string;
  subject: (notice: Notice) => string;
  href: (notice: NoticePlace) => string;
}

const OTHER: Kind = {
  title: ({ title }) => policyName(title),
  subject: ({ run_name, title }) => run_name || title,
  href: ({ run, experiment }) => (run ? `/runs/${run}` : experiment === null ? "/" : `/experiments/${experiment}`),
};

const KINDS: Record<string, Partial<Kind>> = {
  proposal: { href: ({ run, id }) => `/runs/${run}?tab=decisions&at=${id}` },
  alert: {
    title: ({ title }) => said(title), // one that a person named is as it is
    subject: ({ data, run_name, title }) => wordOf(data, "label") || run_name || wordOf(data, "node") || title,
    href: ({ run, data }) => (run ? `/runs/${run}` : wordOf(data, "node") ? `/nodes/${encodeURIComponent(wordOf(data, "node"))}` : "/alerts"),
  },
};

function wordOf(data: unknown, name: string): string {
  const word = (data as Record<string, unknown> | null | undefined)?.[name];
  return typeof word === "string" ? word : "";
}
const kindOf = (name: string): Kind => ({ ...OTHER, ...KINDS[name] });

export const titleOf = (notice: Notice): string => kindOf(notice.kind).title(notice);
export const subjectOf = (notice: Notice): string => kindOf(notice.kind).subject(notice);
export const hrefOf = (notice: NoticePlace): string => kindOf(notice.kind).href(notice);
