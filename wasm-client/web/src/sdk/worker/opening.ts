// One receiver's frames on their way in. CLNT-3: only what was authenticated goes on to the decoder.
import type { OpenOptions, Reception, TransformStats } from "../messages";
import { STREAMS, type DropReason, type Stream } from "../state";
import type { Engine, Opening } from "./engine";
import { EngineDied } from "./engine-died";
import { Lane, type Clock } from "./lane";
import { Moments } from "./moments";
import { scope, type EncodedFrame } from "./scope";

type Controller = TransformStreamDefaultController<EncodedFrame>;

export interface OpeningContext {
  readonly clock: Clock;
  engine(): Engine | null;
  died(fault: EngineDied): void;
  /** A frame is missing now that could have been played. */
  fault(): void;
  /** The frame waits in the engine; `resume` is called with what became of it. */
  wait(ticket: number, resume: (opening: Opening) => void): void;
}

export class OpeningPipe {
  #sender: { leaf: number; stream: Stream } | null = null;
  #epoch: number | null = null;
  #passed = 0;
  readonly #moments = new Moments();
  readonly #dropped = new Map<DropReason | "no-group" | "fault", number>();
  #opened = 0;
  #early = 0;
  #recent: Partial<Record<DropReason, number>> = {};
  readonly #engines = { wasm: 0, webcrypto: 0 };
  readonly #lane: Lane;

  constructor(
    readonly options: OpenOptions,
    readonly context: OpeningContext,
  ) {
    this.#lane = new Lane(context.clock);
  }

  readonly transform = (frame: EncodedFrame, controller: Controller): void => {
    this.#guard(() => {
      const engine = this.context.engine();
      if (!engine) return this.#count("no-group");
      if (this.#lane.full) return this.#drop("no-answer");
      const sealed = new Uint8Array(frame.data);
      if (engine.prefersWebCrypto(sealed.byteLength)) {
        this.#settle(engine, engine.beginOpen(this.options.kind, sealed), frame, controller);
        return;
      }
      this.#lane.run(() =>
        this.#withEngine(engine, () => {
          this.#engines.wasm += 1;
          this.#settle(engine, engine.open(this.options.kind, sealed), frame, controller);
        }),
      );
    });
  };

  /** The receiver serves another producer: say anew whose frames open here. */
  forgetSender(): void {
    this.#sender = null;
  }

  /** What came since the last call, or null if nothing did. */
  report(): Reception | null {
    const { id } = this.options;
    if (this.#opened === 0 && this.#early === 0 && Object.keys(this.#recent).length === 0) return null;
    const report: Reception = {
      id,
      leaf: this.#sender?.leaf ?? null,
      stream: this.#sender?.stream ?? null,
      epoch: this.#epoch,
      opened: this.#opened,
      early: this.#early,
      dropped: this.#recent,
    };
    this.#opened = 0;
    this.#early = 0;
    this.#recent = {};
    return report;
  }

  stats(): TransformStats {
    const { id } = this.options;
    return {
      id,
      role: "open",
      stream: this.#sender?.stream ?? null,
      leaf: this.#sender?.leaf ?? null,
      passed: this.#passed,
      pictures: this.#moments.count,
      dropped: Object.fromEntries(this.#dropped),
      engines: { ...this.#engines },
    };
  }

  #settle(engine: Engine, opening: Opening, frame: EncodedFrame, controller: Controller): void {
    switch (opening.result) {
      case "in-flight": {
        const { job, answer } = opening;
        const settle = (verdict: Opening) => this.#settle(engine, verdict, frame, controller);
        this.#engines.webcrypto += 1;
        this.#lane.wait(answer, {
          done: (plain) => this.#withEngine(engine, () => settle(engine.accept(job, plain))),
          failed: () => this.#withEngine(engine, () => settle(engine.refuse(job))),
          lost: () =>
            this.#withEngine(engine, () => {
              engine.abandon(job);
              this.#drop("no-answer");
            }),
        });
        return;
      }
      case "opened": {
        frame.data = opening.frame;
        controller.enqueue(frame);
        this.#passed += 1;
        this.#moments.meet(frame.timestamp);
        this.#opened += 1;
        this.#epoch = opening.epoch;
        this.#know(opening.leaf, STREAMS[opening.stream], opening.epoch);
        return;
      }
      case "early":
        this.#early += 1;
        this.context.wait(opening.ticket, (later) =>
          this.#guard(() => this.#settle(engine, later, frame, controller)),
        );
        return;
      case "dropped":
        return this.#drop(opening.why);
    }
  }

  /** A frame's turn may come when its meeting is over. */
  #withEngine(engine: Engine, work: () => void): void {
    if (this.context.engine() !== engine) return this.#count("no-group");
    this.#guard(work);
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (fault) {
      if (fault instanceof EngineDied) this.context.died(fault);
      this.#count("fault");
      this.context.fault();
    }
  }

  #drop(why: DropReason): void {
    this.#count(why);
    this.#recent[why] = (this.#recent[why] ?? 0) + 1;
  }

  #know(leaf: number, stream: Stream | undefined, epoch: number): void {
    if (stream === undefined || (this.#sender?.leaf === leaf && this.#sender.stream === stream)) return;
    this.#sender = { leaf, stream };
    scope.postMessage({ type: "authenticated", id: this.options.id, leaf, stream, epoch });
  }

  #count(why: DropReason | "no-group" | "fault"): void {
    this.#dropped.set(why, (this.#dropped.get(why) ?? 0) + 1);
  }
}
