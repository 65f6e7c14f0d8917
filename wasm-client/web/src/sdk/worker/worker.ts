// The worker: the engine, its keys, the delivery connection and every frame transform live here and nowhere else.
import type { FromWorker, ToWorker, TransformOptions } from "../messages";
import { Engine, EngineDied, hasProfile, loadEngine, WebCryptoEngine, type Choice, type EngineEvent, type Opening } from "./engine";
import { Delivery } from "./delivery";
import { carry, type Ends, type Step } from "./carry";
import { Gate } from "./gate";
import { Occupants } from "../occupants";
import { OpeningPipe } from "./opening";
import { scope, now, type Transformer } from "./scope";
import { Sealing } from "./sealing";
import { GroupNews } from "./group-news";
import { Pulse, PULSE_MS } from "./standstill";
import { tapAnswer, tapFault } from "./tap";

const REPORT_EVERY_MS = 1_000;
/** Longer than the slowest look at the keys' life needs; the engine asks for earlier wakes itself. */
const TICK_EVERY_MS = 1_000;

/** What stands around a pipe. */
interface Surroundings {
  gate: Gate;
  /** How often the stream broke and was put together again. */
  repaired: number;
}

class ConclaveWorker {
  #engine: Engine | null = null;
  #delivery: Delivery | null = null;
  #dead = false;
  /** The engine is done; its keys go as soon as its last words are said. */
  #over = false;
  #wake: number | undefined;
  readonly #news = new GroupNews();
  readonly #occupants = new Occupants();
  readonly #sealing = new Map<string, Sealing>();
  readonly #opening = new Map<string, OpeningPipe>();
  /** The number that the page gave last, by receiver (CLNT-20). */
  readonly #bindings = new Map<string, number>();
  readonly #around = new Map<string, Surroundings>();
  readonly #waiting = new Map<number, (opening: Opening) => void>();
  readonly #loaded: Promise<{ version: string; simd: boolean }>;
  readonly #webCrypto = new WebCryptoEngine();
  readonly #pulse = new Pulse(performance.now());

  constructor() {
    scope.onrtctransform = ({ transformer }) => this.#attach(transformer.options, transformer, transformer);
    scope.onmessage = ({ data }) => this.#hear(data);
    // An uncaught exception reaches the page by itself, as an error of its worker. This does not.
    scope.addEventListener("unhandledrejection", ({ reason }) => this.#die(String(reason)));
    this.#loaded = loadEngine();
    holdLock();
    this.#loaded.then(
      ({ version, simd }) => {
        say({ type: "ready", version, simd });
        // While the person types a name.
        void this.#webCrypto.measureIfDue().catch(() => undefined);
      },
      (fault: unknown) => this.#die(`it could not be loaded: ${String(fault)}`),
    );
    scope.setInterval(() => this.#pulse.beat(performance.now()), PULSE_MS);
    scope.setInterval(() => this.#report(), REPORT_EVERY_MS);
    scope.setInterval(() => this.#tick(), TICK_EVERY_MS);
  }

  #hear(message: ToWorker): void {
    switch (message.type) {
      case "join":
        void Promise.all([this.#loaded, this.#webCrypto.subtle()]).then(([, subtle]) => this.#join(message, subtle));
        return;
      case "chat":
        return this.#drive((engine) => engine.chat(message.text));
      case "leave":
        this.#drive((engine) => engine.leave());
        this.#delivery?.close();
        return;
      case "streams":
        return this.#attach(message.options, message as Ends, null);
      case "forget-sender":
        // It may come before the transform that it is about.
        this.#bindings.set(message.id, message.binding);
        this.#opening.get(message.id)?.forgetSender(message.binding);
        this.#around.get(message.id)?.gate.forget();
        return;
      case "bound":
        return this.#opening.get(message.id)?.bound(message.binding);
      case "say-sender":
        this.#opening.get(message.id)?.saySender();
        this.#around.get(message.id)?.gate.forget();
        return;
      case "transforms-gone":
        for (const id of message.ids) {
          this.#sealing.delete(id);
          this.#opening.delete(id);
          this.#bindings.delete(id);
          this.#around.delete(id);
        }
        return;
      case "are-you-there":
        return say({ type: "i-am-here", nonce: message.nonce });
      case "stats":
        return this.#count(message.nonce);
      case "tap":
        if (__TAP__)
          this.#guard(() => {
            const answer = tapAnswer(message.request, this.#engine, this.#delivery);
            say({ type: "tap", nonce: message.nonce, answer });
          });
        return;
    }
  }

  #count(nonce: number): void {
    const stats = [...this.#sealing.values(), ...this.#opening.values()].map((pipe) => {
      const counted = pipe.stats();
      const around = this.#around.get(counted.id);
      return { ...counted, dropped: { ...counted.dropped, ...around?.gate.dropped }, repaired: around?.repaired ?? 0 };
    });
    say({ type: "stats", nonce, stats });
  }

  #join(request: Extract<ToWorker, { type: "join" }>, subtle: SubtleCrypto | null): void {
    if (this.#dead) return;
    const { profile } = request.pinned;
    if (!hasProfile(profile)) return say({ type: "failed", code: "no-profile", detail: "" });
    const fips = profile === "fips";
    // ENGN-1: nothing takes WebCrypto's place in such a room, so without it there is no meeting.
    if (fips && !subtle) return say({ type: "failed", code: "no-webcrypto", detail: "" });
    const choice: Choice = fips ? { by: "rule", use: "webcrypto" } : { by: "size", point: this.#webCrypto.point };
    try {
      this.#engine = new Engine(request, subtle, choice);
    } catch (fault) {
      if (fault instanceof EngineDied) this.#die(fault.message);
      else say({ type: "failed", code: "protocol", detail: String(fault) });
      return;
    }
    say({ type: "delivery", state: "connecting" });
    this.#delivery = new Delivery(request.deliveryUrl, {
      connected: () => {
        say({ type: "delivery", state: "up" });
        this.#drive((engine) => engine.connected());
      },
      text: (text) => this.#drive((engine) => engine.text(text)),
      lost: () => {
        say({ type: "delivery", state: "lost" });
        this.#drive((engine) => engine.connectionLost());
      },
    });
  }

  #attach(options: TransformOptions, ends: Ends, transformer: Transformer | null): void {
    const { id } = options;
    const gate = new Gate(options, this.#pulse, () => this.#askKeyFrame(id));
    const context = {
      clock: { now: () => performance.now(), later: (ms: number, call: () => void) => void scope.setTimeout(call, ms) },
      keyFrameNeeded: (sealing: Sealing) => this.#askKeyFrames([sealing]),
      engine: () => (this.#dead ? null : this.#engine),
      since: (leaf: number) => this.#occupants.since(leaf),
      died: (fault: EngineDied) => this.#die(fault.message),
      fault: () => gate.gap(),
      wait: (ticket: number, resume: (opening: Opening) => void) => void this.#waiting.set(ticket, resume),
    };
    let pipe: Sealing | OpeningPipe;
    if (options.role === "seal") {
      pipe = new Sealing(options, context, transformer);
      this.#sealing.set(id, pipe);
    } else {
      pipe = new OpeningPipe(options, context, this.#bindings.get(id));
      this.#opening.set(id, pipe);
    }
    const around: Surroundings = { gate, repaired: 0 };
    this.#around.set(id, around);
    const step: Step = (frame, controller) => {
      if (__TAP__) tapFault(options, frame);
      if (gate.admits(frame, performance.now())) return pipe.transform(frame, controller);
    };
    const broke = (): void => {
      around.repaired += 1;
      gate.gap();
    };
    void carry(ends, step, broke).then((ended) => {
      if (!ended && this.#around.get(id) === around) say({ type: "transform-lost", id });
    });
    say({ type: "attached", id });
  }

  /** Lets the engine take a step and does what it asks for, in its order. */
  #drive(step: (engine: Engine) => EngineEvent[]): void {
    this.#guard(() => {
      const engine = this.#engine;
      if (!engine || this.#dead) return;
      for (const event of step(engine)) this.#do(event);
      if (this.#over) {
        engine.free();
        this.#engine = null;
        return;
      }
      for (const { ticket, opening } of engine.released()) {
        const resume = this.#waiting.get(ticket);
        this.#waiting.delete(ticket);
        if (!resume) {
          if (opening.result === "in-flight") engine.forget(opening);
          continue;
        }
        try {
          resume(opening);
        } catch {
          // Its stream has ended while the frame waited.
        }
      }
      engine.dropKeys("of-past-epochs");
    });
  }

  #do(event: EngineEvent): void {
    switch (event.type) {
      case "send":
        return this.#delivery?.send(event.text);
      case "wake-at":
        scope.clearTimeout(this.#wake);
        this.#wake = scope.setTimeout(() => this.#tick(), Math.max(0, event.at - now()));
        return;
      case "sending":
        say({ type: "sending", epoch: event.epoch });
        if (event.keyFrame) this.#askKeyFrames([...this.#sealing.values()]);
        return;
      case "reconnect":
        return this.#delivery?.reconnect();
      case "roster": {
        const { epoch, members } = event.roster;
        this.#occupants.see(epoch, members.map(({ leaf, certificate_code }) => ({ leaf, fingerprint: certificate_code })));
        for (const message of this.#news.tell(event)) say(message);
        return;
      }
      case "epoch":
        if (event.fresh) {
          this.#waiting.clear();
          this.#engine?.dropKeys("all");
        }
        for (const message of this.#news.tell(event)) say(message);
        return;
      case "ended":
        for (const message of this.#news.tell(event)) say(message);
        this.#delivery?.close();
        this.#over = true;
        return;
      default:
        for (const message of this.#news.tell(event)) say(message);
    }
  }

  #askKeyFrame(id: string): void {
    if (!this.#sealing.get(id)?.askKeyFrame()) say({ type: "key-frame-needed", ids: [id] });
  }

  #askKeyFrames(of: Sealing[]): void {
    const unasked = of
      .filter((sealing) => !sealing.askKeyFrame())
      .map((sealing) => sealing.options.id);
    if (unasked.length > 0) say({ type: "key-frame-needed", ids: unasked });
  }

  #tick(): void {
    this.#drive((engine) => engine.tick());
    void this.#webCrypto.measureIfDue().catch(() => undefined);
  }

  #report(): void {
    const reports = [...this.#opening.values()].flatMap((pipe) => pipe.report() ?? []);
    if (reports.length > 0) say({ type: "reception", reports });
  }

  /** Whatever it was that nobody foresaw: what is left may be half of something, and another worker begins anew. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (fault) {
      this.#die(fault instanceof EngineDied ? fault.message : String(fault));
    }
  }

  #die(reason: string): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#delivery?.close();
    say({ type: "died", reason });
  }
}

/** Held until this worker ends, in whatever way: whoever waits for it learns of that at once (CLNT-15). */
function holdLock(): void {
  const { locks } = scope.navigator;
  if (!locks || scope.name === "") return;
  const held = (): Promise<never> => {
    say({ type: "held" });
    return new Promise(() => undefined);
  };
  // Without it the page still notices by asking, only later.
  locks.request(scope.name, held).catch(() => undefined);
}

function say(message: FromWorker): void {
  scope.postMessage(message);
}

new ConclaveWorker();
