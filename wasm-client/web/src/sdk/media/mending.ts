// RELY-49: from the moment in which the way to the relay is found broken until media flows again, or until it is given up.

/** A way that is being mended is called broken after this long, and given up a little before the relay does. */
const SAY_DOWN_AFTER_MS = 1_000;
const GIVE_UP_AFTER_MS = 8_000;
const LOOK_EVERY_MS = 100;

export interface Mended {
  /** Signalling and media are as they should be. */
  readonly whole: boolean;
  up(): void;
  down(): void;
  /** It took too long. */
  lost(): void;
}

export class Mending {
  readonly #way: Mended;
  #since: number | null = null;
  #look: number | undefined;

  constructor(way: Mended) {
    this.#way = way;
  }

  get underWay(): boolean {
    return this.#since !== null;
  }

  /** The way is broken, and what can be done about it is being done. */
  begin(): void {
    if (this.#since !== null) return;
    const since = performance.now();
    this.#since = since;
    let said = false;
    this.#look = window.setInterval(() => {
      const took = performance.now() - since;
      if (this.#way.whole) {
        this.close();
        this.#way.up();
      } else if (took > GIVE_UP_AFTER_MS) {
        this.#way.lost();
      } else if (took > SAY_DOWN_AFTER_MS && !said) {
        said = true;
        this.#way.down();
      }
    }, LOOK_EVERY_MS);
  }

  close(): void {
    window.clearInterval(this.#look);
    this.#since = null;
  }
}
