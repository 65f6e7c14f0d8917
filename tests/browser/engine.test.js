// The engine starts in a module worker of each browser, in both variants of the web app, from a room's address and under
// a strict content security policy. What the app does with it is tested elsewhere.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { KINDS, launch, openPage } from "./lib/browser.js";
import { serveFolder } from "./lib/folder-server.js";
import { webApp } from "./lib/needs.js";

/** @param {boolean} tap */
const manifestOf = async (tap) => JSON.parse(await readFile(join(webApp({ tap }), "build.json"), "utf8"));

for (const kind of KINDS) {
  describe(`the engine in ${kind}`, () => {
    /** @type {import("puppeteer-core").Browser} */
    let browser;
    before(async () => (browser = await launch(kind)));
    after(() => browser?.close());

    test("starts without SIMD where the browser has none, from the file that the manifest names", async () => {
      const { files } = await manifestOf(false);
      const name = (pattern) => files.map(({ path }) => path).filter((path) => pattern.test(path));
      const [worker] = name(/^assets\/worker-\w+\.js$/);
      const [simd, ...more] = name(/^assets\/conclave-[0-9a-f]+\.wasm$/);
      const [baseline] = name(/^assets\/conclave-baseline-[0-9a-f]+\.wasm$/);
      assert.ok(simd && baseline && more.length === 0, "one engine of each kind");
      const hidden = `WebAssembly.validate = () => false;\nawait import("/${worker}");`;
      const server = await serveFolder(webApp(), { "/without-simd.js": hidden });
      try {
        const { page, errors } = await openPage(browser);
        await page.goto(`${server.url}/m/any-room`);
        const word = await page.evaluate(firstWordOf, "/without-simd.js");
        assert.deepEqual([word.type, word.simd], ["ready", false], JSON.stringify(word));
        assert.deepEqual(errors, []);
        // The page's own worker, beside this one, asks for the other.
        assert.ok(server.asked.includes(`/${baseline}`), server.asked.join(" "));
      } finally {
        await server.close();
      }
    });

    for (const tap of [false, true]) {
      test(`starts in its worker and says its version (${tap ? "tap" : "plain"})`, async () => {
        const manifest = await manifestOf(tap);
        const worker = manifest.files.find((file) => /^assets\/worker-\w+\.js$/.test(file.path)).path;
        const server = await serveFolder(webApp({ tap }));
        try {
          const { page, errors } = await openPage(browser);
          await page.goto(`${server.url}/m/any-room`);
          const word = await page.evaluate(firstWordOf, `/${worker}`);
          assert.equal(word.type, "ready", JSON.stringify(word));
          assert.equal(word.simd, true, "both browsers have it");
          assert.match(word.version, /^\d+\.\d+\.\d+$/);
          assert.deepEqual(errors, []);
        } finally {
          await server.close();
        }
      });
    }
  });
}

/** Runs in the page: starts the worker as the app does and waits for what it says first. @param {string} address */
function firstWordOf(address) {
  return new Promise((resolve) => {
    const worker = new Worker(address, { type: "module" });
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => resolve({ type: "error", reason: event.message });
  });
}

describe("the build manifest (PF-04)", () => {
  for (const tap of [false, true]) {
    test(`names every served file with its digest, and no other (${tap ? "tap" : "plain"})`, async () => {
      const folder = webApp({ tap });
      const manifest = await manifestOf(tap);
      assert.equal(manifest.variant, tap ? "tap" : "plain");

      const listed = manifest.files.map((file) => file.path);
      const served = [];
      for (const name of await readdir(folder, { recursive: true })) {
        if ((await stat(join(folder, name))).isFile() && name !== "build.json") served.push(name);
      }
      assert.deepEqual(listed.toSorted(), served.toSorted());

      for (const { path, sha256, size } of manifest.files) {
        const bytes = await readFile(join(folder, path));
        assert.equal(bytes.length, size, path);
        assert.equal(createHash("sha256").update(bytes).digest("hex"), sha256, path);
      }
    });
  }
});
