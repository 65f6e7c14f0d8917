// CLNT-15: tells a worker that stands still from a page that does. Pure: time comes in.
//
// A page's timers come late while its tab is in the background, its thread is busy or the machine sleeps, and the worker's
// answers wait in the same line as they do. So what counts as waiting is not the time on the clock but the time in which
// this page was awake and could have heard an answer: of each beat at most twice its usual length.

export const BEAT_MS = 500;
/** The page says that it waits. */
const SLOW_MS = 1_500;
/** The worker is given up: two seconds before the key server gives up a member that it does not hear (DLVR-9). */
const STALLED_MS = 4_000;
/** Until its program is there it cannot answer, and the network is waited for. */
const LOADING_MS = 20_000;

export type Verdict = "well" | "slow" | "stalled";

export class Liveness {
  #last: number;
  #waited = 0;
  #asked = true;
  #runs = false;

  constructor(now: number) {
    this.#last = now;
  }

  /** Whatever the worker says shows that it lives. */
  heard(): void {
    this.#runs = true;
    this.#waited = 0;
    this.#asked = false;
  }

  /** To be called every `BEAT_MS`. `ask`: the worker is to be asked whether it is there. */
  beat(now: number): { verdict: Verdict; ask: boolean } {
    const awake = Math.min(now - this.#last, 2 * BEAT_MS);
    this.#last = now;
    if (!this.#asked) {
      this.#asked = true;
      return { verdict: "well", ask: true };
    }
    this.#waited += awake;
    if (!this.#runs) return { verdict: this.#waited >= LOADING_MS ? "stalled" : "well", ask: false };
    const verdict = this.#waited >= STALLED_MS ? "stalled" : this.#waited >= SLOW_MS ? "slow" : "well";
    return { verdict, ask: false };
  }
}
