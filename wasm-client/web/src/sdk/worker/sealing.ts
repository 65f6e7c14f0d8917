// One sender's frames on their way out. CLNT-2: what is not sealed does not go on, there is no path around (C6).
import type { SealOptions, TransformStats } from "../messages";
import { STREAMS } from "../state";
import type { Engine, InFlight } from "./engine";
import { EngineDied } from "./engine-died";
import { Lane, type Clock } from "./lane";
import { Moments } from "./moments";
import { scope, type EncodedFrame, type Transformer } from "./scope";
import { tapSealed } from "./tap";

export interface SealingContext {
  readonly clock: Clock;
  engine(): Engine | null;
  died(fault: EngineDied): void;
  /** A frame got lost on its way through WebCrypto: receivers need a new start. */
  keyFrameNeeded(sealing: Sealing): void;
  /** A frame is missing now, and not because there is no key. */
  fault(): void;
}

type Controller = TransformStreamDefaultController<EncodedFrame>;

/** What a frame is, beside its bytes. */
interface Facts {
  mimeType: string;
  ssrc: number;
  rtpTimestamp: number;
  key: boolean;
}

export class Sealing {
  #passed = 0;
  readonly #moments = new Moments();
  readonly #dropped = new Map<string, number>();
  readonly #engines = { wasm: 0, webcrypto: 0 };
  readonly #stream: number;
  readonly #lane: Lane;

  constructor(
    readonly options: SealOptions,
    readonly context: SealingContext,
    readonly transformer: Transformer | null,
  ) {
    this.#stream = STREAMS.indexOf(options.stream);
    this.#lane = new Lane(context.clock);
  }

  readonly transform = (frame: EncodedFrame, controller: Controller): void => {
    this.#guard(() => this.#seal(frame, controller));
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
    const dropped = Object.fromEntries(this.#dropped);
    return { id, role: "seal", stream, leaf: null, passed: this.#passed, pictures: this.#moments.count, dropped, engines: { ...this.#engines } };
  }

  #seal(frame: EncodedFrame, controller: Controller): void {
    const engine = this.context.engine();
    if (!engine) return this.#drop("no-group");
    if (this.#lane.full) return this.#lose("too-many-in-flight");
    const clear = new Uint8Array(frame.data);
    const { mimeType = "", synchronizationSource: ssrc = 0, rtpTimestamp = frame.timestamp } = frame.getMetadata();
    const facts = { mimeType, ssrc, rtpTimestamp, key: frame.type === "key" };
    const send = (sealed: ArrayBuffer | null) => this.#send(facts, clear, sealed, frame, controller);
    if (!engine.prefersWebCrypto(clear.byteLength)) {
      this.#lane.run(() =>
        this.#withEngine(engine, () => {
          this.#engines.wasm += 1;
          send(engine.seal(this.#stream, mimeType, facts.key, clear));
        }),
      );
      return;
    }
    const begun = engine.beginSeal(this.#stream, mimeType, facts.key, clear);
    if (begun) this.#await(engine, begun, send);
    else this.#drop("not-sealed");
  }

  #await(engine: Engine, { job, answer }: InFlight, send: (sealed: ArrayBuffer | null) => void): void {
    this.#engines.webcrypto += 1;
    this.#lane.wait(answer, {
      done: (text) => this.#withEngine(engine, () => send(engine.finishSeal(job, text))),
      failed: () =>
        this.#withEngine(engine, () => {
          engine.refuse(job);
          this.#lose("not-sealed");
        }),
      lost: () =>
        this.#withEngine(engine, () => {
          engine.abandon(job);
          this.#lose("no-answer");
        }),
    });
  }

  #send(facts: Facts, clear: Uint8Array, sealed: ArrayBuffer | null, frame: EncodedFrame, controller: Controller): void {
    if (!sealed) return this.#drop("not-sealed");
    const { id, stream } = this.options;
    if (__TAP__) tapSealed({ id, stream, ...facts, clear, sealed });
    frame.data = sealed;
    controller.enqueue(frame);
    this.#passed += 1;
    this.#moments.meet(facts.rtpTimestamp, facts.ssrc);
    if (this.#passed === 1) scope.postMessage({ type: "sealed-first-frame", id });
    const { key, ssrc, rtpTimestamp } = facts;
    if (key) scope.postMessage({ type: "key-frame-sent", id, ssrc, rtpTimestamp });
  }

  /** A frame's turn may come when its meeting is over. */
  #withEngine(engine: Engine, work: () => void): void {
    if (this.context.engine() !== engine) return this.#drop("no-group");
    this.#guard(work);
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (fault) {
      if (fault instanceof EngineDied) this.context.died(fault);
      this.#drop("fault");
      this.context.fault();
    }
  }

  /** A frame that the encoder counts on is not sent. */
  #lose(why: string): void {
    this.#drop(why);
    this.context.keyFrameNeeded(this);
  }

  #drop(why: string): void {
    this.#dropped.set(why, (this.#dropped.get(why) ?? 0) + 1);
  }
}
