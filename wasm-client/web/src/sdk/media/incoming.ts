// One receiver. It may serve one producer after another; what it plays is decided by the leaf that the worker
// authenticated on it, and nothing is played before.
import type { EngineWorker } from "../engine-worker";
import type { ProducerInfo } from "../relay/messages";
import type { Stream } from "../state";
import { attach, type Way } from "./attach";

export class Incoming {
  /** What the relay says comes here: used to subscribe, never to choose a tile. */
  producer: ProducerInfo | null = null;
  /** Whose frames opened here. */
  authenticated: { leaf: number; stream: Stream } | null = null;
  readonly loudness = new Loudness();

  constructor(
    readonly id: string,
    readonly kind: "audio" | "video",
    readonly transceiver: RTCRtpTransceiver,
    readonly worker: EngineWorker,
    way: Way,
  ) {
    attach(transceiver.receiver, { role: "open", id, kind }, worker, way);
  }

  get track(): MediaStreamTrack {
    return this.transceiver.receiver.track;
  }

  serve(producer: ProducerInfo): void {
    this.producer = producer;
    this.transceiver.direction = "recvonly";
    this.forget();
  }

  retire(): void {
    this.producer = null;
    this.transceiver.direction = "inactive";
    this.forget();
  }

  forget(): void {
    this.authenticated = null;
    this.askAnew();
  }

  /** The worker says with the next frame whose it is, as it did with the first. */
  askAnew(): void {
    this.worker.post({ type: "forget-sender", id: this.id });
  }
}

/** Of a sound that the browser has decoded: from its growing totals, the loudness in between. */
class Loudness {
  #energy = 0;
  #duration = 0;

  /** The root mean square since the last call, a full-scale square wave being 1; null where nothing was played. */
  since(energy: number, duration: number): number | null {
    const [more, longer] = [energy - this.#energy, duration - this.#duration];
    this.#energy = energy;
    this.#duration = duration;
    return longer > 0 && more >= 0 ? Math.sqrt(more / longer) : null;
  }
}
