// CLNT-17: carries frames from where they come, through a step, to where they go. Where that breaks it is put together
// again; where that cannot be, it is said, and the page makes another end for the stream. Between two pieces nothing is
// connected, so nothing passes.
import type { EncodedFrame } from "./scope";

/** So often in a row without a single frame in between: the browser's ends are broken, and not what stands between them. */
const GIVE_UP_AFTER = 3;

export type Step = (frame: EncodedFrame, controller: TransformStreamDefaultController<EncodedFrame>) => void | Promise<void>;

export interface Ends {
  readable: ReadableStream<EncodedFrame>;
  writable: WritableStream<EncodedFrame>;
}

/** Resolves with true when the frames have come to their end, with false when they cannot be carried any more. */
export async function carry({ readable, writable }: Ends, step: Step, broke: () => void): Promise<boolean> {
  let inARow = 0;
  while (inARow < GIVE_UP_AFTER) {
    const middle = new TransformStream<EncodedFrame, EncodedFrame>({
      transform(frame, controller) {
        const done = step(frame, controller);
        if (done) return done.then(() => void (inARow = 0));
        inARow = 0;
      },
    });
    // Neither end hears of what went wrong in the middle, so both can be used again.
    const [inward] = await Promise.allSettled([
      readable.pipeTo(middle.writable, { preventCancel: true }),
      middle.readable.pipeTo(writable, { preventAbort: true }),
    ]);
    if (inward.status === "fulfilled") return true;
    inARow += 1;
    broke();
  }
  return false;
}
