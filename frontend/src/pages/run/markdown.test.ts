// @vitest-environment jsdom
import { expect, it } from "vitest";
import { toHtml } from "./markdown";

const dom = (text: string) => {
  const box = document.createElement("div");
  box.innerHTML = toHtml(text);
  return box;
};

it("makes what people write: headings, tables, lists to tick, code", () => {
  const box = dom("# Tried\n\n| lr | acc |\n|---|---:|\n| 1 | 2 |\n\n- [x] one\n- [ ] two\n\n```python\nx = 1\n```\n\n**bold** [paper](https://example.org)");
  expect(box.querySelector("h1")?.textContent).toBe("Tried");
  expect(box.querySelectorAll("td").length).toBe(2);
  expect([...box.querySelectorAll("input")].map((input) => [input.type, input.checked, input.disabled])).toEqual([["checkbox", true, true], ["checkbox", false, true]]);
  expect([...box.querySelectorAll("input")].map((input) => input.ariaLabel ?? input.getAttribute("aria-label"))).toEqual(["done", "to do"]);
  expect(box.querySelector("pre code")?.textContent).toContain("x = 1");
  expect(box.querySelector("a")?.rel).toBe("noopener noreferrer");
});

it.each([
  "<img src=x onerror=alert(1)>",
  "<script>alert(1)</script>",
  "[click](javascript:alert(1))",
  "[click](JaVaScRiPt:alert(1))",
  "[click](data:text/html,<script>alert(1)</script>)",
  "[x](//evil.example/x)",
  "<a href=\"java\nscript:alert(1)\">x</a>",
  "<svg onload=alert(1)><a xlink:href=javascript:alert(1)>x</a></svg>",
  "<math><mi xlink:href=\"javascript:alert(1)\">x</mi></math>",
  "<iframe src=https://evil.example></iframe>",
  "<form action=https://evil.example><input name=q><button>go</button></form>",
  "<style>*{display:none}</style><p style=\"position:fixed\">x</p>",
  "<details ontoggle=alert(1) open>x</details>",
  "![x](javascript:alert(1))",
  "<input type=text autofocus onfocus=alert(1)>",
  "`</code><img src=x onerror=alert(1)>`",
])("takes what would run out of %j", (text) => {
  const box = dom(text);
  expect(box.querySelector("script, svg, math, iframe, form, button, style, input:not([type=checkbox])")).toBeNull();
  for (const node of box.querySelectorAll("*"))
    for (const { name, value } of node.attributes) {
      expect(name).not.toMatch(/^on|style|srcdoc|formaction/);
      expect(value).not.toMatch(/^\s*(javascript|data|\/\/)/i);
    }
});
