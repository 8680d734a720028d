/** Tags as a person types them: with commas between them, each once, in the order they were typed. */
export const readTags = (text: string): string[] => [...new Set(text.split(",").map((tag) => tag.trim()).filter(Boolean))];
