// CLNT-24: what was written and what became of it. The engine says an own line when it hands it to the connection; what waits for that,
// or was lost with the group or the engine, is told as such. Pure: time comes in.
import type { ChatLine } from "./state";

const KEPT = 500;
/** As many as the engine keeps for when there is a connection (MAX_OUTBOX). */
const MOST_WAITING = 64;
/** Handed over within a moment it did not wait. */
const MOMENT_MS = 300;
/** A connection that is silent for so long is lost, and with it what it was given meanwhile. */
const UNNOTICED_MS = 9_000;

export class ChatBook {
  #lines: readonly ChatLine[] = [];
  #waiting: readonly ChatLine[] = [];
  #count = 0;

  /** False: too much waits already. */
  write(text: string, now: number): boolean {
    if (this.#waiting.length >= MOST_WAITING) return false;
    const line: ChatLine = { id: this.#next(), leaf: -1, name: "", me: true, text, at: now, sent: "waiting" };
    this.#waiting = [...this.#waiting, line];
    return true;
  }

  /** A line of somebody's, or one's own on its way. */
  said(line: Omit<ChatLine, "id" | "sent">): void {
    if (line.me) {
      const first = this.#waiting.find(({ text }) => text === line.text);
      this.#waiting = this.#waiting.filter((waiting) => waiting !== first);
    }
    this.#keep([{ ...line, id: this.#next(), sent: "yes" }]);
  }

  /** The connection is gone. Nobody knows what of the last it still carried. */
  connectionLost(now: number): void {
    this.#lines = this.#lines.map((line) =>
      line.me && line.sent === "yes" && now - line.at < UNNOTICED_MS ? { ...line, sent: "unsure" } : line,
    );
  }

  /** The group or the engine is another one: what waited waits no more. Gives how many lines those are. */
  lose(): number {
    const lost = this.#waiting;
    this.#waiting = [];
    this.#keep(lost.map((line) => ({ ...line, sent: "no" })));
    return lost.length;
  }

  /** In their order; what waits comes last. */
  lines(now: number): readonly ChatLine[] {
    const waiting = this.#waiting.filter(({ at }) => now - at >= MOMENT_MS);
    return waiting.length > 0 ? [...this.#lines, ...waiting] : this.#lines;
  }

  #next(): number {
    return (this.#count += 1);
  }

  #keep(lines: readonly ChatLine[]): void {
    if (lines.length > 0) this.#lines = [...this.#lines, ...lines].slice(-KEPT);
  }
}
