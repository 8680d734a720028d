/** What answers each kind of notice. A kind that is not here is shown by its words, with a way to its run. */
import type { Component } from "svelte";
import type { Notice } from "../api/types";
import NoticeAlert from "./NoticeAlert.svelte";
import ProposalAnswer from "./ProposalAnswer.svelte";

export const ANSWERS: Record<string, Component<{ notice: Notice }>> = { proposal: ProposalAnswer, alert: NoticeAlert };
