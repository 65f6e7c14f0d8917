// CLNT-16: what waited while the worker stood still is not played late. Pure: time comes in, in milliseconds.

/** The worker looks at the clock this often, and with each frame. */
export const PULSE_MS = 100;
/** Longer than a busy machine holds a worker up now and then. */
const STANDSTILL_MS = 800;
/** For this long after it there may be frames that waited. */
const AFTERMATH_MS = 1_000;
/** A frame that is later than its stream's others by more than this waited. */
const LATE_MS = 400;
/** By more than this it is no delay: the stream's timestamps began anew. */
const ANEW_MS = 60_000;
/** How much of a lasting delay counts as usual after a second: clocks drift apart, encoders and networks get slower. */
const FORGET = 0.01;

/** When the worker as a whole stood still. */
export class Pulse {
  #last: number;
  #end = Number.NEGATIVE_INFINITY;
  /** How often it did. */
  count = 0;

  constructor(now: number) {
    this.#last = now;
  }

  beat(now: number): void {
    if (now - this.#last >= STANDSTILL_MS) {
      this.#end = now;
      this.count += 1;
    }
    this.#last = now;
  }

  /** It goes on again since a moment ago. */
  aftermath(now: number): boolean {
    return now - this.#end < AFTERMATH_MS;
  }
}

/** How late each frame of one RTP stream is, against the earliest of its like. */
export class Lateness {
  #baseline: number | null = null;
  #rtp = 0;
  #media = 0;
  #at = 0;

  constructor(readonly ticksPerMs: number) {}

  /** `rtp`: the frame's timestamp, which wraps at 32 bits. */
  of(rtp: number, now: number): number {
    // The difference as a signed number of 32 bits: right across a wrap, and for frames out of order.
    if (this.#baseline !== null) this.#media += ((rtp - this.#rtp) | 0) / this.ticksPerMs;
    this.#rtp = rtp;
    const delay = now - this.#media;
    if (this.#baseline === null || Math.abs(delay - this.#baseline) > ANEW_MS) {
      this.#media = now;
      this.#baseline = 0;
      this.#at = now;
      return 0;
    }
    this.#baseline = Math.min(delay, this.#baseline + (now - this.#at) * FORGET);
    this.#at = now;
    return delay - this.#baseline;
  }
}

export function isLate(lateness: number): boolean {
  return lateness > LATE_MS;
}
