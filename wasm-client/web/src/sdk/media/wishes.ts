// What was wished for of the views of one session (CLNT-31), and what of it the relay has to be told.
import type { Subscribe, Wish } from "../relay/messages";

/** What the relay takes for granted of a view that nobody wished anything about. */
const AS_SUBSCRIBED = { paused: false, max_layer: null, pinned: false };

export class Wishes {
  readonly #wished = new Map<string, Wish>();
  /** The producers of the last offer that was answered: what the relay knows us to receive. */
  readonly #agreed = new Set<string>();
  /** The line broke: what was wished since, or just before, the relay may not have heard. */
  #lost = false;

  /** Takes these for what is wished, and gives those that the relay does not know, and the producers whose paused view comes back. */
  take(wishes: readonly Wish[]): { changed: Wish[]; back: string[] } {
    const changed = wishes.filter((wish) => {
      if (!this.#agreed.has(wish.producer)) return false;
      const former = this.#wished.get(wish.producer) ?? AS_SUBSCRIBED;
      return wish.paused !== former.paused || wish.max_layer !== former.max_layer || wish.pinned !== former.pinned;
    });
    const back = changed.filter(({ producer, paused }) => !paused && this.#wished.get(producer)?.paused === true);
    for (const wish of changed) this.#wished.set(wish.producer, wish);
    return { changed, back: back.map(({ producer }) => producer) };
  }

  /** The relay answered an offer with these subscriptions. */
  agreed(subscribed: readonly Subscribe[]): void {
    this.#agreed.clear();
    for (const { producer } of subscribed) this.#agreed.add(producer);
  }

  /** There is no such producer any more. */
  forget(producer: string): void {
    this.#wished.delete(producer);
  }

  /** Its next view is a subscription of its own to the relay, which knows no wish yet and is not agreed on. */
  startAnew(producer: string): void {
    this.#wished.delete(producer);
    this.#agreed.delete(producer);
  }

  lineBroke(): void {
    this.#lost = true;
  }

  /** What is to be said again now that there is a line: all, once. */
  again(): Wish[] {
    if (!this.#lost) return [];
    this.#lost = false;
    return [...this.#wished.values()].filter(({ producer }) => this.#agreed.has(producer));
  }
}
