/**
 * The kinds of panels: one file a kind in this folder, one line here.
 *
 * A kind is what it is called, what draws it, what changes its options, and for which pages it is. Its options are its
 * own affair: it reads whatever was stored with care. A kind that is not in this list, of a newer version or a
 * plug-in, shows as a panel that says so, and is kept.
 */
import type { Component } from "svelte";
import type { IconName } from "../../components/Icon.svelte";
import type { BodyProps, PanelContext } from "../panels/context";
import { bar } from "./bar";
import { histogram } from "./histogram";
import { importance } from "./importance";
import { line } from "./line";
import { media } from "./media";
import { parallel } from "./parallel";
import { scatter } from "./scatter";
import { text } from "./text";

export interface EditProps {
  options: Record<string, unknown>;
  context: PanelContext;
  onchange: (options: Record<string, unknown>) => void;
}

type Loaded<Props extends Record<string, unknown>> = () => Promise<{ default: Component<Props> }>;

export interface PanelKind {
  kind: string;
  name: () => string;
  about: () => string;
  icon: IconName;
  ofRuns: boolean; // only on pages of several runs
  titleOf: (options: Record<string, unknown>, context: PanelContext) => string;
  columns?: number; // how wide a new panel of this kind is, where one is too narrow
  /** What a new panel of this kind starts with. */
  start: (context: PanelContext) => Record<string, unknown>;
  body: Loaded<BodyProps & Record<string, unknown>>;
  editor: Loaded<EditProps & Record<string, unknown>>;
}

export const KINDS: readonly PanelKind[] = [line, bar, scatter, histogram, parallel, importance, media, text];

export const kindOf = (name: string): PanelKind | undefined => KINDS.find((each) => each.kind === name);
