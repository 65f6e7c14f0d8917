// AES-GCM in WebAssembly: vector-aes beside aes-gcm in the same file, and WebCrypto, in Node and in a worker of each browser. One
// JSON object a line: { case, unit, ours, peers, goal, holds }. Run by `cargo xtask bench aead`.
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { pathToFileURL } from "node:url";
import { KINDS, launch, openPage } from "../lib/browser.js";
import { serveFolder } from "../lib/folder-server.js";

const SCRIPTS = new URL("../../../vector-aes/checks/js/", import.meta.url);
const WORKER = `
import * as checks from "./checks.js";
import { measure } from "./measure.js";
measure(checks, fetch("checks_bg.wasm")).then((lines) => postMessage({ lines }), (error) => postMessage({ error: String(error) }));
`;
const ONCE = { key: "setting up a key" };

function print(where, { work, size, ours, aesGcm, webCrypto }) {
  const what = ONCE[work] ?? `${work} ${size} B`;
  for (const quantile of ["p50", "p99"]) {
    const peers = { "aes-gcm": aesGcm[quantile], ...(webCrypto ? { WebCrypto: webCrypto[quantile] } : {}) };
    // What the issue asks of such a crate: at most half of what there was.
    const goal = quantile === "p50" && webCrypto ? `<= ${Math.round(aesGcm.p50 / 2)}` : null;
    const holds = goal && ours.p50 <= aesGcm.p50 / 2;
    console.log(JSON.stringify({ case: `${where}, ${what}, ${quantile}`, unit: "ns", ours: ours[quantile], peers, goal, holds }));
  }
}

/** Runs in the page. */
function inWorker() {
  return new Promise((resolve, reject) => {
    const worker = new Worker("/worker.js", { type: "module" });
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message));
  });
}

const built = env.VECTOR_AES_CHECKS;
const checks = await import(pathToFileURL(join(built, "checks.js")).href);
const { measure } = await import(new URL("measure.js", SCRIPTS).href);
for (const line of await measure(checks, await readFile(join(built, "checks_bg.wasm")))) print("node", line);

const folder = await mkdtemp(join(tmpdir(), "vector-aes-"));
try {
  await cp(built, folder, { recursive: true });
  await cp(new URL("measure.js", SCRIPTS), join(folder, "measure.js"));
  await writeFile(join(folder, "worker.js"), WORKER);
  await writeFile(join(folder, "index.html"), "<!doctype html><title>vector-aes</title>");
  const server = await serveFolder(folder);
  for (const kind of KINDS) {
    // Firefox rounds its clock to a millisecond otherwise.
    const browser = await launch(kind, { prefs: { "privacy.reduceTimerPrecision": false } });
    try {
      const { page } = await openPage(browser);
      await page.goto(server.url);
      const { lines, error } = await page.evaluate(inWorker);
      if (error) throw new Error(`${kind}: ${error}`);
      for (const line of lines) print(kind, line);
    } finally {
      await browser.close();
    }
  }
  await server.close();
} finally {
  await rm(folder, { recursive: true });
}
