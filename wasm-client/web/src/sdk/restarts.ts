// CLNT-11: how often something that broke is started anew before that is called an end. Pure: time comes in.

const SPAN_MS = 60_000;
/** The first one at once; whoever breaks again is given a moment. */
const WAITS_MS = [0, 500, 2_000];

export class Restarts {
  #times: number[] = [];

  /** How long to wait before the next start, or null: it broke too often within a minute. */
  next(now: number): number | null {
    this.#times = this.#times.filter((time) => now - time < SPAN_MS);
    const wait = WAITS_MS[this.#times.length];
    if (wait === undefined) return null;
    this.#times.push(now);
    return wait;
  }
}
