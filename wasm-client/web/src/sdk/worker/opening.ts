// One receiver's frames on their way in. CLNT-3: only what was authenticated goes on to the decoder.
import type { OpenOptions, Reception, TransformStats } from "../messages";
import { STREAMS, type DropReason, type Stream } from "../state";
import { EngineDied, type Engine, type Opening } from "./engine";
import { scope, type EncodedFrame } from "./scope";

type Controller = TransformStreamDefaultController<EncodedFrame>;

export interface OpeningContext {
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
  readonly #dropped = new Map<DropReason | "no-group" | "fault", number>();
  #opened = 0;
  #early = 0;
  #recent: Partial<Record<DropReason, number>> = {};

  constructor(
    readonly options: OpenOptions,
    readonly context: OpeningContext,
  ) {}

  readonly transform = (frame: EncodedFrame, controller: Controller): void => {
    try {
      const engine = this.context.engine();
      if (!engine) this.#count("no-group");
      else this.#settle(engine.open(this.options.kind, new Uint8Array(frame.data)), frame, controller);
    } catch (fault) {
      if (fault instanceof EngineDied) this.context.died(fault);
      this.#count("fault");
      this.context.fault();
    }
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
      dropped: Object.fromEntries(this.#dropped),
    };
  }

  #settle(opening: Opening, frame: EncodedFrame, controller: Controller): void {
    switch (opening.result) {
      case "opened": {
        frame.data = opening.frame;
        controller.enqueue(frame);
        this.#passed += 1;
        this.#opened += 1;
        this.#epoch = opening.epoch;
        this.#know(opening.leaf, STREAMS[opening.stream], opening.epoch);
        return;
      }
      case "early":
        this.#early += 1;
        this.context.wait(opening.ticket, (later) => this.#settle(later, frame, controller));
        return;
      case "dropped":
        this.#count(opening.why);
        this.#recent[opening.why] = (this.#recent[opening.why] ?? 0) + 1;
        return;
    }
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
