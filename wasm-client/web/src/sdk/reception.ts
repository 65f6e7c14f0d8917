// CLNT-9: turns the worker's counts into what can be said of each person's streams. Pure: time comes in.
import type { DropReason, MediaState, SealedReason, Stream } from "./state";
import type { Reception } from "./messages";

/** Without a frame for this long a stream is quiet, and its last picture is taken from the screen. */
const QUIET_MS = 2_500;
/** A dropped frame here and there is a replayed retransmission; a stream of nothing else for this long is a fault. */
const SEALED_MS = 1_500;

/** Repeats and own frames say nothing about whether somebody's media can be opened. */
const HARMLESS: ReadonlySet<DropReason> = new Set<DropReason>(["replayed", "too-old", "own-frame"]);

interface Seen {
  epoch: number | null;
  openedAt: number | null;
  sealed: { why: SealedReason; since: number; last: number } | null;
}

export class ReceptionBook {
  readonly #seen = new Map<string, Seen>();

  /** A frame of this member's stream was authenticated. */
  authenticated(leaf: number, stream: Stream, epoch: number, now: number): void {
    this.#seen.set(key(leaf, stream), { epoch, openedAt: now, sealed: null });
  }

  /**
   * `leaf` and `stream` say whom the counts are put down to: who was authenticated on this receiver, else whom the relay
   * names. For dropped frames that is a guess and is only used for words.
   */
  report(report: Reception, leaf: number, stream: Stream, now: number): void {
    const seen = this.#seen.get(key(leaf, stream)) ?? { epoch: null, openedAt: null, sealed: null };
    if (report.opened > 0) {
      this.#seen.set(key(leaf, stream), { epoch: report.epoch, openedAt: now, sealed: null });
      return;
    }
    const why = worst(report);
    if (why === null) return;
    const since = seen.sealed && now - seen.sealed.last <= QUIET_MS ? seen.sealed.since : now;
    this.#seen.set(key(leaf, stream), { ...seen, sealed: { why, since, last: now } });
  }

  state(leaf: number, stream: Stream, now: number): MediaState {
    const seen = this.#seen.get(key(leaf, stream));
    if (!seen) return { state: "nothing" };
    const { sealed, openedAt, epoch } = seen;
    const fresh = openedAt !== null && now - openedAt <= QUIET_MS;
    if (sealed && now - sealed.last <= QUIET_MS && (now - sealed.since >= SEALED_MS || openedAt === null)) {
      return { state: "sealed", why: sealed.why };
    }
    if (openedAt === null || epoch === null) return { state: "nothing" };
    return fresh ? { state: "live", epoch } : { state: "quiet", epoch };
  }

  /** CLNT-20: these leaves are nobody's or somebody else's now, who starts anew. */
  forget(leaves: ReadonlySet<number>): void {
    for (const entry of this.#seen.keys()) if (leaves.has(Number(entry.split("/")[0]))) this.#seen.delete(entry);
  }

  clear(): void {
    this.#seen.clear();
  }
}

function worst(report: Reception): SealedReason | null {
  let worstReason: SealedReason | null = null;
  let most = 0;
  for (const [reason, count] of Object.entries(report.dropped) as [DropReason, number][]) {
    if (HARMLESS.has(reason) || count <= most) continue;
    worstReason = reason;
    most = count;
  }
  return report.early > most ? "early" : worstReason;
}

function key(leaf: number, stream: Stream): string {
  return `${leaf}/${stream}`;
}
