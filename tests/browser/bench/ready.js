// From asking for the page to the engine's word that it is ready in its worker, nothing cached, the server on the same machine. One
// JSON object a line: { case, unit, ours, peers, goal, holds }. Run by `cargo xtask bench ready`.
import { KINDS, eventually, launch, openPage } from "../lib/browser.js";
import { serveFolder } from "../lib/folder-server.js";
import { webApp } from "../lib/needs.js";

const ROUNDS = 25;

/** Runs in the page from its start: notes when the worker said its first word. */
function watch() {
  const Plain = Worker;
  globalThis.Worker = class extends Plain {
    constructor(...from) {
      super(...from);
      this.addEventListener("message", ({ data }) => {
        if (data?.type === "ready") globalThis.readyAt ??= performance.now();
      });
    }
  };
}

/** @param {number[]} sorted @param {number} share */
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];

const server = await serveFolder(webApp());
try {
  for (const kind of KINDS) {
    const browser = await launch(kind);
    const times = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      // A context of its own has no cache of another's.
      const { page } = await openPage(browser);
      await page.evaluateOnNewDocument(watch);
      await page.goto(server.url);
      times.push(await eventually("the engine is ready", () => page.evaluate(() => globalThis.readyAt), { every: 50 }));
      await page.browserContext().close();
    }
    await browser.close();
    const sorted = times.toSorted((one, other) => one - other);
    for (const [name, share] of [["p50", 0.5], ["p95", 0.95]]) {
      const ours = Math.round(quantile(sorted, share));
      console.log(JSON.stringify({ case: `${kind}, from the page's address to the engine, ${name} of ${ROUNDS}`, unit: "ms", ours, peers: {}, goal: null, holds: null }));
    }
  }
} finally {
  await server.close();
}
