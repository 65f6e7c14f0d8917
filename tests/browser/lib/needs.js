// What `cargo xtask test` built for these tests, by environment; and the browsers of this machine.
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { env } from "node:process";

/** @param {string} name */
function built(name) {
  const path = env[name];
  if (!path) throw new Error(`${name} is not set: run these tests by \`cargo xtask test --only browser\``);
  if (!existsSync(path)) throw new Error(`${name} names ${path}, which is not there`);
  return path;
}

/** The folder with the built web app. */
export const webApp = ({ tap = false } = {}) => built(tap ? "CONCLAVE_TEST_WEB_TAP" : "CONCLAVE_TEST_WEB");

/** The server's binary. */
export const program = ({ tap = false } = {}) => built(tap ? "CONCLAVE_TEST_PROGRAM_TAP" : "CONCLAVE_TEST_PROGRAM");

/** Whether the long tests are wanted: more rounds, longer calls. */
export const long = env.CONCLAVE_LONG === "1";

const NAMES = {
  chromium: ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
  firefox: ["firefox-esr", "firefox"],
};

/**
 * Where a browser's program is. A missing browser is an error, never a skipped test.
 * @param {"chromium" | "firefox"} kind
 */
export function browserProgram(kind) {
  for (const name of NAMES[kind]) {
    for (const folder of (env.PATH ?? "").split(delimiter)) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not here; the next one.
      }
    }
  }
  throw new Error(`there is no ${kind} on this machine: run \`cargo xtask setup --for test\``);
}
