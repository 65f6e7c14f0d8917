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
  /** CLNT-20: since which epoch the leaf is whose it is now; null: nobody's. */
  since(leaf: number): number | null;
  died(fault: EngineDied): void;
  /** A frame is missing now that could have been played. */
  fault(): void;
  /** The frame waits in the engine; `resume` is called with what became of it. */
  wait(ticket: number, resume: (opening: Opening) => void): void;
}

/** Whose frames: a leaf alone is not, for it may have been somebody else's before. */
interface Sender {
  leaf: number;
  since: number;
  stream: Stream;
}

/** Reasons of this pipe's own, beside those of the engine. */
type Count = DropReason | "no-group" | "fault" | "not-bound";

export class OpeningPipe {
  /** Whose tile the page shows this in, as far as it was said. */
  #sender: Sender | null = null;
  /** Somebody else, named to the page; no frame goes on until it has taken that in. */
  #next: Sender | null = null;
  /** The page is to hear once more. */
  #say = false;
  #binding: number;
  #epoch: number | null = null;
  #passed = 0;
  readonly #moments = new Moments();
  readonly #dropped = new Map<Count, number>();
  #opened = 0;
  #early = 0;
  #recent: Partial<Record<DropReason, number>> = {};
  readonly #engines = { wasm: 0, webcrypto: 0 };
  readonly #lane: Lane;

  constructor(
    readonly options: OpenOptions,
    readonly context: OpeningContext,
    binding = 0,
  ) {
    this.#binding = binding;
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

  /** The page shows nobody's tile with what comes here: it is to be told anew whose frames open. */
  forgetSender(binding: number): void {
    this.#binding = binding;
    this.#settleOn(null);
  }

  /** The page shows it in the tile of whom it was told last. */
  bound(binding: number): void {
    if (binding !== this.#binding || !this.#next) return;
    this.#settleOn(this.#next);
    // What did not go on while the page did not know is missing now.
    this.context.fault();
  }

  saySender(): void {
    this.#say = true;
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
        const why = this.#refuses(opening);
        // Counted and not reported: what is left of who is gone says nothing about anybody who is here.
        if (why !== null) return this.#count(why);
        frame.data = opening.frame;
        controller.enqueue(frame);
        this.#passed += 1;
        this.#moments.meet(frame.timestamp);
        this.#opened += 1;
        this.#epoch = opening.epoch;
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

  /**
   * CLNT-20: a frame goes on only if the page shows this receiver in its sender's tile, or in none. One of an epoch in which the leaf was
   * somebody else's is nobody's who is here.
   */
  #refuses({ leaf, stream: number, epoch }: { leaf: number; stream: number; epoch: number }): "not-a-member" | "not-bound" | null {
    const since = this.context.since(leaf);
    if (since === null || epoch < since) return "not-a-member";
    const stream = STREAMS[number];
    if (stream === undefined) return null;
    const sender = { leaf, since, stream };
    // Somebody else was named to the page, which may show their tile by now, or not yet.
    if (this.#next) return "not-bound";
    if (this.#sender && !isSame(this.#sender, sender)) {
      this.#next = sender;
      this.#tell(sender, epoch, true);
      return "not-bound";
    }
    if (!this.#sender || this.#say) this.#tell(sender, epoch, false);
    this.#sender = sender;
    return null;
  }

  #tell({ leaf, stream }: Sender, epoch: number, waits: boolean): void {
    this.#say = false;
    scope.postMessage({ type: "authenticated", id: this.options.id, leaf, stream, epoch, binding: this.#binding, waits });
  }

  /** What was counted so far was somebody else's. */
  #settleOn(sender: Sender | null): void {
    this.#sender = sender;
    this.#next = null;
    this.#epoch = null;
    this.#opened = 0;
    this.#early = 0;
    this.#recent = {};
  }

  #count(why: Count): void {
    this.#dropped.set(why, (this.#dropped.get(why) ?? 0) + 1);
  }
}

function isSame(one: Sender, other: Sender): boolean {
  return one.leaf === other.leaf && one.since === other.since && one.stream === other.stream;
}
