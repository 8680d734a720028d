import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

// What `npm run dev` does not serve itself it passes on to this site.
const site = process.env.SCALEWEB_URL ?? "http://127.0.0.1:8000";

export default defineConfig(({ command, mode }) => ({
  // The development server owns "/", so that history routes work there as they do under Django.
  base: command === "build" ? "/static/app/" : "/",
  plugins: [svelte()],
  build: {
    target: "es2022",
    modulePreload: { polyfill: false }, // its inline-free form is not needed by the browsers we target
    reportCompressedSize: false,
    assetsInlineLimit: 0, // nothing inline: the content security policy forbids it
    // A page is four files: what every page needs to start, what pages share, the charts where it has some, and its own.
    // Two dozen small ones took longer to fetch over a browser's six connections than their bytes.
    cssCodeSplit: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            // The greater priority takes its modules first; a group draws in what its modules import.
            { name: "start", test: /src\/App\.svelte/, priority: 3 },
            // What one page or one part of a page has for itself alone (what reads notes, say) comes with that.
            { name: "site", minShareCount: 2, test: /node_modules\/(?!uplot|marked|dompurify)|src\/(api|components|lib|live|state)\/|src\/charts\/(board|frame|group)/, priority: 2 },
            // Kinds of panels that few pages show, the dialogs of panels and marks, what a zoom of smoothed lines reads beside, and what makes files of charts,
            // come when they are asked for.
            { name: "charts", test: /node_modules\/uplot|src\/charts\/(?!lead\.|save\.|svg\.|csv\.|MarkList\.|panels\/(Add|Edit|Large)\.|kinds\/(?!Line\.)[A-Z])/, priority: 1 },
          ],
        },
      },
    },
  },
  server: {
    host: "127.0.0.1",
    // As from the site's own pages: it takes forms and websockets from no other origin.
    proxy: {
      "^/(api|login|logout|admin|static|healthz)": { target: site, changeOrigin: true, headers: { Origin: new URL(site).origin } },
      "/ws": { target: site.replace(/^http/, "ws"), ws: true, changeOrigin: true, headers: { Origin: new URL(site).origin } },
    },
  },
  // A test that opens with "@vitest-environment client" has runes that run.
  resolve: mode === "test" ? { conditions: ["browser"], alias: { "vitest-environment-client": new URL("src/client.environment.ts", import.meta.url).pathname } } : undefined,
  test: { environment: "node", include: ["src/**/*.test.ts"], css: false },
}));
