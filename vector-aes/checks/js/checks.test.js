// The checks of vector-aes as WebAssembly, on v128: each a test. Natively they run on an array instead.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { env } from "node:process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const folder = env.VECTOR_AES_CHECKS;
if (!folder) throw new Error("VECTOR_AES_CHECKS names no folder; `cargo xtask test --only page` sets it");
const checks = await import(pathToFileURL(join(folder, "checks.js")).href);
await checks.default({ module_or_path: await readFile(join(folder, "checks_bg.wasm")) });

const names = checks.check_names();
assert.ok(names.length > 0);
for (const name of names) {
  test(`vector-aes as WebAssembly: ${name}`, () => {
    try {
      checks.run_check(name);
    } catch (error) {
      assert.fail(checks.last_panic() ?? String(error));
    }
  });
}
