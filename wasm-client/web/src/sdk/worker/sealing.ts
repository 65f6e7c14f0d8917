// One sender's frames on their way out. CLNT-2: what is not sealed does not go on, there is no path around (C6).
import type { SealOptions, TransformStats } from "../messages";
import { STREAMS } from "../state";
import type { Engine } from "./engine";
import { EngineDied } from "./engine";
import { scope, type EncodedFrame, type Transformer } from "./scope";
import { tapSealed } from "./tap";

export interface SealingContext {
  engine(): Engine | null;
  died(fault: EngineDied): void;
  /** A frame is missing now, and not because there is no key. */
  fault(): void;
}

export class Sealing {
  #passed = 0;
  readonly #dropped = new Map<string, number>();
  readonly #stream: number;

  constructor(
    readonly options: SealOptions,
    readonly context: SealingContext,
    readonly transformer: Transformer | null,
  ) {
    this.#stream = STREAMS.indexOf(options.stream);
  }

  readonly transform = (frame: EncodedFrame, controller: TransformStreamDefaultController<EncodedFrame>): void => {
    try {
      this.#seal(frame, controller);
    } catch (fault) {
      if (fault instanceof EngineDied) this.context.died(fault);
      this.#drop("fault");
      this.context.fault();
    }
  };

  /** False where the encoder cannot be asked from here. */
  askKeyFrame(): boolean {
    const { transformer } = this;
    if (this.options.stream === "microphone" || this.options.stream === "screen-audio") return true;
    if (typeof transformer?.generateKeyFrame !== "function") return false;
    // Where the encoder refuses, the relay asks it in its own way. A sender without a track has none to ask.
    const { id } = this.options;
    void transformer.generateKeyFrame().catch(() => scope.postMessage({ type: "key-frame-needed", ids: [id] }));
    return true;
  }

  stats(): TransformStats {
    const { id, stream } = this.options;
    return { id, role: "seal", stream, leaf: null, passed: this.#passed, dropped: Object.fromEntries(this.#dropped) };
  }

  #seal(frame: EncodedFrame, controller: TransformStreamDefaultController<EncodedFrame>): void {
    const engine = this.context.engine();
    if (!engine) return this.#drop("no-group");
    const { mimeType = "", synchronizationSource = 0, rtpTimestamp = frame.timestamp } = frame.getMetadata();
    const key = frame.type === "key";
    const clear = new Uint8Array(frame.data);
    const sealed = engine.seal(this.#stream, mimeType, key, clear);
    if (!sealed) return this.#drop("not-sealed");
    if (__TAP__)
      tapSealed({
        id: this.options.id,
        stream: this.options.stream,
        mimeType,
        key,
        ssrc: synchronizationSource,
        rtpTimestamp,
        clear,
        sealed,
      });
    frame.data = sealed;
    controller.enqueue(frame);
    this.#passed += 1;
    if (this.#passed === 1) scope.postMessage({ type: "sealed-first-frame", id: this.options.id });
    if (key)
      scope.postMessage({ type: "key-frame-sent", id: this.options.id, ssrc: synchronizationSource, rtpTimestamp });
  }

  #drop(why: string): void {
    this.#dropped.set(why, (this.#dropped.get(why) ?? 0) + 1);
  }
}
