// Processor time of a browser, thread by thread, as Linux counts it.
import { readdirSync, readFileSync } from "node:fs";
import { family } from "./processes.js";

/** Ticks of /proc are hundredths of a second on every Linux that runs here. */
const TICKS = 100;

/**
 * Seconds that each thread of a browser's pages has used so far: those of main threads, of dedicated workers, and all.
 * @param {import("puppeteer-core").Browser} browser
 */
export function threadSeconds(browser) {
  const sum = { main: 0, worker: 0, all: 0 };
  for (const pid of family(/** @type {number} */ (browser.process()?.pid))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("--type=renderer")) continue;
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "latin1");
        const name = stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")"));
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        // Fields 14 and 15 of proc(5), user and system time; the first two are cut off.
        const seconds = (Number(fields[11]) + Number(fields[12])) / TICKS;
        sum.all += seconds;
        if (thread === String(pid)) sum.main += seconds;
        if (name.startsWith("DedicatedWorker")) sum.worker += seconds;
      }
    } catch {
      // Ended while we looked.
    }
  }
  return sum;
}
