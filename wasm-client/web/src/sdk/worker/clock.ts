// The time that the engine goes by. Pure: both clocks come in.
//
// It does not jump back when somebody sets the clock of the machine. But the monotonic clock of most browsers stands still while
// the machine sleeps, and an engine that is minutes behind refuses certificates as not valid yet: so it catches up.

/** How far the wall clock has to be ahead to count as sleep, and not as one clock a little faster than the other. */
const SLEPT_MS = 5_000;

export class Clock {
  #ahead: number;

  /** @param monotonic milliseconds since any moment @param wall milliseconds since 1970 */
  constructor(
    private readonly monotonic: () => number,
    private readonly wall: () => number,
  ) {
    this.#ahead = wall() - monotonic();
  }

  /** Milliseconds since 1970, never fewer than before. */
  now(): number {
    const behind = this.wall() - this.monotonic() - this.#ahead;
    if (behind > SLEPT_MS) this.#ahead += behind;
    return this.monotonic() + this.#ahead;
  }
}
