// What happens to a browser from outside: all its processes stop, or are gone.
import { readdirSync, readFileSync } from "node:fs";

/** Stops every process of a browser where it is: its connections stay open and say nothing. @param {import("puppeteer-core").Browser} browser */
export function freeze(browser) {
  signal(browser, "SIGSTOP");
}

/** @param {import("puppeteer-core").Browser} browser */
export function kill(browser) {
  signal(browser, "SIGKILL");
}

/** @param {import("puppeteer-core").Browser} browser @param {NodeJS.Signals} name */
function signal(browser, name) {
  const root = browser.process()?.pid;
  if (root === undefined) throw new Error("the browser has no process of ours");
  for (const pid of family(root)) {
    try {
      process.kill(pid, name);
    } catch {
      // Gone meanwhile, which is fine for both.
    }
  }
}

/** A process and all that descend from it. @param {number} root */
export function family(root) {
  /** @type {Map<number, number[]>} */
  const children = new Map();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      // `pid (name) state parent …`, where the name may hold anything.
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
    } catch {
      // Ended while we looked.
    }
  }
  const all = [root];
  for (let at = 0; at < all.length; at += 1) all.push(...(children.get(all[at]) ?? []));
  return all;
}
