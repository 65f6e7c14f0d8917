// CLNT-31: what this device wants to see of the others: of each picture the layer that fits its place on the screen, nothing of what is
// out of sight, and no more pictures than the last to speak and those before them. Pure: sizes, speakers and time come in.
import type { Wish } from "./relay/messages";
import type { Stream } from "./state";

/** A video stream that can be had. */
export interface Viewable {
  producer: string;
  /** Whose it is, as far as is known; null before its first frame opened. */
  leaf: number | null;
  stream: Stream;
}

/** Out of sight for this long is not scrolled past. */
const OUT_OF_SIGHT_MS = 1_000;
/** Who turns to another tab often comes back at once. */
const PAGE_AWAY_MS = 5_000;
/** Heights of the two lower layers of a 720p camera. A little larger is not worth four times the bits. */
const LAYER_HEIGHTS = [180, 360];
const STRETCH = 1.25;

interface Place {
  height: number;
  /** Since when it is out of sight. */
  hidden: number | null;
}

export class Attention {
  readonly #places = new Map<string, Place>();
  #pinned: number | null = null;
  #away: number | null = null;

  /** How large a picture is on the screen, in its own pixels; 0: out of sight; null: it has no place any more. */
  look(leaf: number, stream: Stream, height: number | null, now: number): void {
    const at = key(leaf, stream);
    if (height === null) {
      this.#places.delete(at);
      return;
    }
    const former = this.#places.get(at);
    if (height > 0) this.#places.set(at, { height, hidden: null });
    else this.#places.set(at, { height: former?.height ?? 0, hidden: former?.hidden ?? now });
  }

  /** One person before all others. */
  pin(leaf: number | null): void {
    this.#pinned = leaf;
  }

  get pinned(): number | null {
    return this.#pinned;
  }

  /** Whether the page is looked at at all. */
  pageShown(shown: boolean, now: number): void {
    this.#away = shown ? null : (this.#away ?? now);
  }

  /**
   * What to wish for now. `recent`: who spoke, the latest first. `most`: pictures of people at once; shared screens come on top.
   * A picture that has no place yet, or whose page was never drawn, is wanted as if it shared the window with all others.
   */
  wishes(all: readonly Viewable[], recent: readonly number[], most: number, now: number): Wish[] {
    const away = this.#away !== null && now - this.#away >= PAGE_AWAY_MS;
    const inSight = all.filter((view) => !away && !this.#isHidden(view, now));
    const cameras = inSight.filter(({ stream }) => stream === "camera");
    const chosen = new Set([...cameras].sort((a, b) => this.#rank(a, recent) - this.#rank(b, recent)).slice(0, most));
    return all.map((view) => ({
      producer: view.producer,
      max_layer: view.stream === "camera" ? this.#layer(view, all.length) : null,
      paused: view.stream === "camera" ? !chosen.has(view) : !inSight.includes(view),
      pinned: view.leaf !== null && view.leaf === this.#pinned,
    }));
  }

  /** CLNT-20: these leaves are nobody's or somebody else's now, who starts anew. */
  forget(leaves: ReadonlySet<number>): void {
    for (const at of this.#places.keys()) if (leaves.has(Number(at.split("/")[0]))) this.#places.delete(at);
    if (this.#pinned !== null && leaves.has(this.#pinned)) this.#pinned = null;
  }

  #place({ leaf, stream }: Viewable): Place | undefined {
    return leaf === null ? undefined : this.#places.get(key(leaf, stream));
  }

  #isHidden(view: Viewable, now: number): boolean {
    const hidden = this.#place(view)?.hidden ?? null;
    return hidden !== null && now - hidden >= OUT_OF_SIGHT_MS;
  }

  /** Pinned, then speakers; the others as they come, which sorting keeps. */
  #rank({ leaf }: Viewable, recent: readonly number[]): number {
    if (leaf === null) return Infinity;
    if (leaf === this.#pinned) return -1;
    const spoke = recent.indexOf(leaf);
    return spoke < 0 ? Number.MAX_SAFE_INTEGER : spoke;
  }

  #layer(view: Viewable, views: number): number | null {
    const height = this.#place(view)?.height ?? 0;
    if (height === 0) return views <= 3 ? null : views <= 8 ? 1 : 0;
    const layer = LAYER_HEIGHTS.findIndex((layer) => height <= layer * STRETCH);
    return layer < 0 ? null : layer;
  }
}

function key(leaf: number, stream: Stream): string {
  return `${leaf}/${stream}`;
}
