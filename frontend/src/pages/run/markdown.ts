/** Markdown as people write notes (GitHub's), made into HTML that runs and loads nothing. */
import DOMPurify from "dompurify";
import { Marked } from "marked";
import { t } from "../../lib/i18n";

const escaped = (text: string) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
// HTML in notes is text like any other.
const marked = new Marked({ gfm: true, breaks: true, async: false, renderer: { html: ({ text }) => escaped(text) } });

/** Only what text needs: no forms, no styles, no frames, no drawings; addresses of pages and mail alone. */
const ALLOWED = {
  ALLOWED_TAGS: ["a", "b", "blockquote", "br", "code", "del", "details", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "input", "kbd", "li", "ol", "p", "pre", "s", "strong", "sub", "summary", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul"],
  ALLOWED_ATTR: ["href", "src", "alt", "title", "align", "type", "checked", "disabled", "start"],
  ADD_URI_SAFE_ATTR: ["align", "checked", "disabled", "start", "type"],
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|\/(?!\/)|#)/i,
};

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  // A box to tick is a picture of one here.
  if (node.nodeName === "INPUT") {
    if (node.getAttribute("type") !== "checkbox") node.remove();
    else {
      node.setAttribute("disabled", "");
      node.setAttribute("aria-label", node.hasAttribute("checked") ? t("done") : t("to do"));
    }
  }
  if (node.nodeName === "A" && /^https?:/i.test(node.getAttribute("href") ?? "")) {
    node.setAttribute("target", "_blank");
    node.setAttribute("rel", "noopener noreferrer");
  }
});

export const toHtml = (text: string): string => DOMPurify.sanitize(marked.parse(text) as string, ALLOWED);
