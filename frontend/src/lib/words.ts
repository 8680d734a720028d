import { t } from "./i18n";

/** A command line as a person types it, as the list of words that will be executed. No shell ever sees it. */
export interface Words {
  words: string[];
  error: string;
}

/** Blank-separated words; "…" and '…' keep blanks, \ escapes outside '…'. Nothing is expanded: $HOME stays $HOME. */
export function splitWords(text: string): Words {
  const words: string[] = [];
  let word = "";
  let open = false; // a word has begun, perhaps an empty quoted one
  let quote = "";
  for (let i = 0; i < text.length; i++) {
    const letter = text[i];
    if (letter === "\\" && quote !== "'") {
      i += 1;
      if (i >= text.length) return { words, error: t("the line ends in a lone \\") };
      if (text[i] === "\n" && !quote) continue; // a continued line
      word += quote === '"' && !'"\\'.includes(text[i]) ? `\\${text[i]}` : text[i];
      open = true;
    } else if (quote) {
      if (letter === quote) quote = "";
      else word += letter;
    } else if (letter === '"' || letter === "'") {
      quote = letter;
      open = true;
    } else if (/\s/.test(letter)) {
      if (open) words.push(word);
      word = "";
      open = false;
    } else {
      word += letter;
      open = true;
    }
  }
  if (quote) return { words, error: t("a {quote} is not closed", { quote }) };
  if (open) words.push(word);
  return { words, error: "" };
}

/** A list of words as one line that splitWords reads back to the same list. */
export function joinWords(words: string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`)).join(" ");
}

/** A command as short as it can be told: programs by their names instead of their places. */
export const shortCommand = (words: string[]): string => joinWords(words.map((word, at) => (at === 0 ? word.slice(word.lastIndexOf("/") + 1) || word : word)));
