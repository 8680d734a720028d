// @vitest-environment jsdom
import { beforeEach, expect, it, vi } from "vitest";
import { t } from "../lib/i18n";
import { language } from "./language.svelte";

beforeEach(() => localStorage.clear());

it("speaks what was chosen, says so to the browser, and keeps the choice", async () => {
  await language.choose("zh");
  expect(t("Settings")).toBe("设置");
  expect(document.documentElement.lang).toBe("zh-Hans");
  expect(localStorage.getItem("scaleweb.language")).toBe('"zh"');
  await language.choose("en");
  expect(t("Settings")).toBe("Settings");
  expect(document.documentElement.lang).toBe("en");
});

it("follows the browser where nothing was chosen", async () => {
  vi.spyOn(navigator, "languages", "get").mockReturnValue(["zh-CN", "en"]);
  await language.choose("system");
  expect(t("Settings")).toBe("设置");
});

it("tells the server, whose login comes before any page of ours, and takes it back", async () => {
  await language.choose("zh");
  expect(document.cookie).toContain("scaleweb_language=zh-hans");
  await language.choose("system");
  expect(document.cookie).not.toContain("scaleweb_language");
});

it("takes the last of two quick choices", async () => {
  await Promise.all([language.choose("zh"), language.choose("en")]);
  expect(t("Settings")).toBe("Settings");
});
