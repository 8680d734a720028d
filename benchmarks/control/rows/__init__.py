"""One module a question: QUESTION, and rows(options), which answers it with Rows."""
