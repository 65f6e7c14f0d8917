// One stream's frames, written in the order in which they came, although WebCrypto answers late and in no order (ENGN-4).
//
// A frame that can be done at once is done when its turn comes and not before: so its counter is taken, and its epoch is
// the sender's, when it is written. A frame whose answer does not come holds the others up for a moment and no longer.

export interface Clock {
  /** Milliseconds. */
  now(): number;
  later(milliseconds: number, call: () => void): void;
}

/** What becomes of a frame whose answer comes later. One of the three is called, once, in the frame's turn. */
export interface Ending<T> {
  done(answer: T): void;
  failed(): void;
  /** No answer came in time. One that comes later is not heard. */
  lost(): void;
}

/**
 * Frames of one stream in flight or behind one that is: some seconds, since on a busy machine a worker gets what came in half
 * a second all at once.
 */
export const MAX_IN_FLIGHT = 256;

/**
 * A browser that works answers in microseconds, and on a machine that does ten other things in a tenth of a second or two: a
 * second is only for those that never answer. How long a removed member may still open what is sent does not hang on it:
 * the engine looks at the time when a frame is finished (EPOC-5).
 */
export const ANSWER_WITHIN_MS = 1_000;

interface Slot {
  readonly since: number;
  readonly lost: () => void;
  /** What to do in its turn, as soon as that is known. */
  ready: (() => void) | null;
}

export class Lane {
  readonly #slots: Slot[] = [];
  readonly #clock: Clock;
  #watched = false;
  #flushing = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** No more frames may be added until others are through. */
  get full(): boolean {
    return this.#slots.length >= MAX_IN_FLIGHT;
  }

  /** A frame that can be done at once: now, or when those before it are through. */
  run(write: () => void): void {
    if (this.#slots.length === 0 && !this.#flushing) return write();
    this.#slots.push({ since: this.#clock.now(), lost: () => undefined, ready: write });
    this.#flush();
  }

  /** A frame whose answer comes later. */
  wait<T>(answer: Promise<T>, ending: Ending<T>): void {
    const slot: Slot = { since: this.#clock.now(), lost: () => ending.lost(), ready: null };
    this.#slots.push(slot);
    answer.then(
      (value) => this.#settle(slot, () => ending.done(value)),
      () => this.#settle(slot, () => ending.failed()),
    );
    this.#watch();
  }

  #settle(slot: Slot, write: () => void): void {
    slot.ready = write;
    if (this.#slots[0] === slot) this.#flush();
  }

  #flush(): void {
    // What is written may lead to another frame of this lane, which then waits for its turn.
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      for (let head = this.#slots[0]; head?.ready; head = this.#slots[0]) {
        this.#slots.shift();
        head.ready();
      }
    } finally {
      this.#flushing = false;
    }
  }

  /** One timer at a time, and none for a lane without frames in flight. */
  #watch(): void {
    const [head] = this.#slots;
    if (this.#watched || head === undefined) return;
    this.#watched = true;
    this.#clock.later(Math.max(0, head.since + ANSWER_WITHIN_MS - this.#clock.now()), () => {
      this.#watched = false;
      this.#giveUp();
      this.#watch();
    });
  }

  #giveUp(): void {
    const overdue = this.#clock.now() - ANSWER_WITHIN_MS;
    for (let head = this.#slots[0]; head && !head.ready && head.since <= overdue; head = this.#slots[0]) {
      this.#slots.shift();
      head.lost();
      this.#flush();
    }
  }
}
