// What stands before each seal and open: frames that waited while the worker stood still go no further, and after a gap a
// video stream goes on with a key frame (CLNT-16, CLNT-17). It only ever takes frames away.
import type { TransformOptions } from "../messages";
import type { EncodedFrame } from "./scope";
import { isLate, Lateness, type Pulse } from "./standstill";

/** Until the key frame is there. */
const ASK_EVERY_MS = 500;
const VIDEO_TICKS_PER_MS = 90;
const OPUS_TICKS_PER_MS = 48;

export class Gate {
  readonly #video: boolean;
  readonly #seals: boolean;
  readonly #lateness = new Map<number, Lateness>();
  /** Layers of which nothing but a key frame goes out. */
  readonly #skipping = new Set<number>();
  /** A key frame of somebody else is wanted as soon as frames are on time again. */
  #wanting = false;
  #standstills: number;
  #askedAt = Number.NEGATIVE_INFINITY;
  #late = 0;
  #skipped = 0;

  /** `askKeyFrame`: of one's own encoder, or of whoever sends. */
  constructor(
    options: TransformOptions,
    readonly pulse: Pulse,
    readonly askKeyFrame: () => void,
  ) {
    this.#seals = options.role === "seal";
    this.#video =
      options.role === "seal" ? options.stream === "camera" || options.stream === "screen" : options.kind === "video";
    this.#standstills = pulse.count;
  }

  /** Whether the frame goes on. */
  admits(frame: EncodedFrame, now: number): boolean {
    this.pulse.beat(now);
    const ssrc = this.#layerOf(frame);
    const lateness = this.#latenessOf(ssrc).of(frame.timestamp, now);
    if (this.#standstills !== this.pulse.count) {
      this.#standstills = this.pulse.count;
      this.gap();
    }
    if (this.pulse.aftermath(now) && isLate(lateness)) {
      this.#late += 1;
      return false;
    }
    return this.#seals ? this.#admitsOwn(ssrc, frame.type === "key", now) : this.#admitsTheirs(now);
  }

  /** Frames are missing: what follows cannot be decoded without them. */
  gap(): void {
    if (!this.#video) return;
    if (this.#seals) for (const ssrc of this.#lateness.keys()) this.#skipping.add(ssrc);
    else this.#wanting = true;
  }

  /** Somebody else's frames come here from now on, on a clock of their own. */
  forget(): void {
    this.#lateness.clear();
  }

  get dropped(): Record<string, number> {
    return { ...(this.#late > 0 && { late: this.#late }), ...(this.#skipped > 0 && { skipped: this.#skipped }) };
  }

  #admitsOwn(ssrc: number, key: boolean, now: number): boolean {
    if (!this.#skipping.has(ssrc)) return true;
    if (key) {
      this.#skipping.delete(ssrc);
      return true;
    }
    this.#skipped += 1;
    this.#ask(now);
    return false;
  }

  /** The browser leaves out by itself what it cannot decode; it only asks late for what it could. */
  #admitsTheirs(now: number): boolean {
    if (this.#wanting) {
      this.#wanting = false;
      this.#ask(now);
    }
    return true;
  }

  #ask(now: number): void {
    if (now - this.#askedAt < ASK_EVERY_MS) return;
    this.#askedAt = now;
    this.askKeyFrame();
  }

  /** Only one's own video has several streams behind one transform. */
  #layerOf(frame: EncodedFrame): number {
    return this.#seals && this.#video ? (frame.getMetadata().synchronizationSource ?? 0) : 0;
  }

  #latenessOf(ssrc: number): Lateness {
    let found = this.#lateness.get(ssrc);
    if (!found) {
      found = new Lateness(this.#video ? VIDEO_TICKS_PER_MS : OPUS_TICKS_PER_MS);
      this.#lateness.set(ssrc, found);
    }
    return found;
  }
}
