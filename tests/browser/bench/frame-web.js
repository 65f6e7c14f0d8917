// Sealing and opening a frame in a browser's worker, beside LiveKit's frame cryptor and DAVE, on an idle machine and with one core
// busy. One JSON object a line: { case, unit, ours, peers, floor, goal, holds }. Run by `cargo xtask bench frame-web`.
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { env } from "node:process";
import { fileURLToPath } from "node:url";
import { KINDS, launch } from "../lib/browser.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const WEB = join(ROOT, "wasm-client/web");
const PEERS = join(ROOT, "peers/web");
const CASES = [
  { name: "120 B, Opus", bytes: 120, sound: true },
  { name: "1.2 kB, VP8", bytes: 1_200, sound: false },
  { name: "10 kB, VP8", bytes: 10_000, sound: false },
  { name: "50 kB, VP8", bytes: 50_000, sound: false },
];
/** Milliseconds a case. */
const BUDGET = Number(env.CONCLAVE_BENCH_MS ?? 6_000);
const FLOOR_FACTOR = 1.3;
const BOTH_P99_US = 300;

async function bundle() {
  const { build } = await import(join(WEB, "node_modules/esbuild/lib/main.js"));
  const { outputFiles } = await build({
    entryPoints: [join(PEERS, "src/worker.js")],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    minify: true,
    alias: {
      "conclave-wasm": join(WEB, "generated/tap/conclave.js"),
      "conclave-wasm-baseline": join(WEB, "generated/baseline/conclave.js"),
    },
    define: { __TAP__: "false", __WASM_URL__: '"/engine.wasm"', __WASM_BASELINE_URL__: '"/baseline.wasm"' },
    logLevel: "error",
  });
  return outputFiles[0].contents;
}

/** With the headers that give a page a finer clock, and shared memory to DAVE. */
async function serve() {
  const files = {
    "/": ["text/html", "<!doctype html><title>bench</title>"],
    "/worker.js": ["text/javascript", await bundle()],
    "/engine.wasm": ["application/wasm", await readFile(join(WEB, "generated/tap/conclave_bg.wasm"))],
    "/davey.wasm": ["application/wasm", await readFile(join(PEERS, "node_modules/@snazzah/davey-wasm32-wasi/davey.wasm32-wasi.wasm"))],
  };
  const server = createServer((request, response) => {
    const [type, body] = files[request.url ?? "/"] ?? ["text/plain", null];
    response.writeHead(body === null ? 404 : 200, {
      "content-type": type,
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

/** Runs in the page. */
function ask(message) {
  globalThis.benchWorker ??= new Worker("/worker.js", { type: "module" });
  const worker = globalThis.benchWorker;
  const nonce = Math.random();
  return new Promise((resolve, reject) => {
    worker.onerror = (event) => reject(new Error(event.message));
    worker.addEventListener("message", function listen({ data }) {
      if (data.nonce !== nonce) return;
      worker.removeEventListener("message", listen);
      if (data.fault) reject(new Error(data.fault));
      else resolve(data.answer);
    });
    worker.postMessage({ ...message, nonce });
  });
}

const round = (figure) => Math.round(figure * 10) / 10;

function lines(kind, load, name, figures) {
  const { ours, "ours, profile fips": fips, livekit, dave, "bare WebCrypto": webcrypto, "bare WASM": wasm } = figures;
  const peersOf = (what, share) => ({ livekit: round(livekit[what][share]), dave: round(dave[what][share]) });
  const all = [];
  for (const what of ["seal", "open"]) {
    for (const share of ["p50", "p99"]) {
      const mine = round(ours[what][share]);
      const peers = peersOf(what, share);
      const floor = { webcrypto: round(webcrypto[what][share]), wasm: round(wasm[what][share]) };
      const low = Math.min(floor.webcrypto, floor.wasm);
      const first = Object.values(peers).every((theirs) => mine < theirs);
      const near = share === "p99" || mine <= low * FLOOR_FACTOR;
      const goal = share === "p50" ? `< both peers, <= ${FLOOR_FACTOR} x floor (${round(low * FLOOR_FACTOR)})` : "< both peers";
      all.push({ case: `${kind}, ${load}, ${what} ${name}, ${share}`, unit: "us", ours: mine, peers, floor, fips: round(fips[what][share]), goal, holds: first && near });
    }
  }
  const [both, mine] = ["seal + open", round(ours["seal + open"].p99)];
  const limited = name.startsWith("10 kB");
  all.push({
    case: `${kind}, ${load}, ${both} ${name}, p99`,
    unit: "us",
    ours: mine,
    peers: peersOf(both, "p99"),
    floor: { webcrypto: round(webcrypto[both].p99), wasm: round(wasm[both].p99) },
    fips: round(fips[both].p99),
    goal: limited ? `< ${BOTH_P99_US}` : null,
    holds: limited ? mine < BOTH_P99_US : null,
  });
  return all;
}

const server = await serve();
try {
  for (const kind of KINDS.filter((kind) => (env.CONCLAVE_BENCH_BROWSER ?? kind) === kind)) {
    // Firefox's clock is rounded against fingerprinting; Chromium's has steps of 5 us on such a page.
    const browser = await launch(kind, { prefs: { "privacy.reduceTimerPrecision": false, "privacy.resistFingerprinting.reduceTimerPrecision.jitter": false } });
    try {
      const page = await browser.newPage();
      page.setDefaultTimeout(120_000);
      await page.goto(server.url);
      for (const load of ["idle", "other core busy"]) {
        const busy = load === "idle" ? null : spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" });
        try {
          const threshold = await page.evaluate(ask, { what: "calibrate" });
          const from = threshold === null || threshold === Infinity ? null : threshold;
          console.log(JSON.stringify({ case: `${kind}, ${load}, frames through WebCrypto from`, unit: "B", ours: from, peers: {}, goal: null, holds: null }));
          for (const { name, bytes, sound } of CASES) {
            const figures = await page.evaluate(ask, { what: "measure", bytes, sound, budget: BUDGET });
            for (const line of lines(kind, load, name, figures)) console.log(JSON.stringify(line));
          }
        } finally {
          busy?.kill();
        }
      }
    } finally {
      await browser.close();
    }
  }
} finally {
  server.close();
}
