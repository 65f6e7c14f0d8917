// Everybody who seals and opens frames here, behind one face: `seal(frame)` and `open(frame)` on encoded frames as a transform gets
// them, done when the frame's data are replaced. What answers at once gives nothing back, what answers later a promise.
import { Client } from "conclave-wasm";
import { Engine, loadEngine, WebCryptoEngine } from "../../../wasm-client/web/src/sdk/worker/engine.ts";
import { OpeningPipe } from "../../../wasm-client/web/src/sdk/worker/opening.ts";
import { Sealing } from "../../../wasm-client/web/src/sdk/worker/sealing.ts";
import { KEY_PROVIDER_DEFAULTS } from "../node_modules/livekit-client/src/e2ee/constants.ts";
import { encryptionEnabledMap, FrameCryptor } from "../node_modules/livekit-client/src/e2ee/worker/FrameCryptor.ts";
import { ParticipantKeyHandler } from "../node_modules/livekit-client/src/e2ee/worker/ParticipantKeyHandler.ts";
import { createKeyMaterialFromBuffer } from "../node_modules/livekit-client/src/e2ee/utils.ts";
import { makeDave } from "./dave.js";

const KEY = new Uint8Array(16).fill(7);
/** The rounds of a measurement of the switch point (ENGN-5), and some more. */
const CALIBRATION_MS = 8_500;

/** The engine's client is nobody's business but the engine's; a test build's has a way into a group without a server. */
function enter(engine, leaf) {
  const { tick } = Client.prototype;
  Client.prototype.tick = function (now) {
    if (!this.tap_enter(leaf, now)) throw new Error("no epoch");
    return tick.call(this, now);
  };
  engine.tick();
  Client.prototype.tick = tick;
}

/** A stream's end that notes when a frame comes out. */
class Outlet {
  out = null;
  #arrived = null;

  enqueue = (frame) => {
    this.out = frame;
    this.#arrived?.();
  };

  /** @param {() => void} push */
  after(push) {
    this.out = null;
    this.#arrived = null;
    push();
    if (this.out) return undefined;
    return new Promise((resolve) => (this.#arrived = resolve));
  }
}

/** Ours, as the worker calls it: pipes, lanes, switch point, engine. @param {boolean} sound @param {"standard" | "fips"} profile @param {WebCryptoEngine} webCrypto */
async function ours(sound, profile, webCrypto) {
  const subtle = await webCrypto.subtle();
  const choice = profile === "fips" ? { by: "rule", use: "webcrypto" } : { by: "size", point: webCrypto.point };
  const pinned = { room: "room", rootHash: "A".repeat(43), profile };
  const [sender, receiver] = [0, 1].map((leaf) => {
    const engine = new Engine({ pinned, session: "session" }, subtle, choice);
    enter(engine, leaf);
    return engine;
  });
  const context = (engine) => ({
    clock: { now: () => performance.now(), later: (ms, call) => void setTimeout(call, ms) },
    engine: () => engine,
    since: () => 0,
    died: (fault) => {
      throw fault;
    },
    keyFrameNeeded: () => undefined,
    wait: () => undefined,
  });
  const sealing = new Sealing({ role: "seal", id: "s", stream: sound ? "microphone" : "camera" }, context(sender), null);
  const opening = new OpeningPipe({ role: "open", id: "o", kind: sound ? "audio" : "video" }, context(receiver));
  const outlet = new Outlet();
  return {
    seal: (frame) => outlet.after(() => sealing.transform(frame, outlet)),
    open: (frame) => outlet.after(() => opening.transform(frame, outlet)),
    end: () => [sender, receiver].forEach((engine) => engine.free()),
  };
}

async function livekit(sound) {
  const keys = new ParticipantKeyHandler("alice", KEY_PROVIDER_DEFAULTS);
  await keys.setKey(await createKeyMaterialFromBuffer(KEY.buffer));
  encryptionEnabledMap.set("alice", true);
  const cryptors = [0, 1].map(() => new FrameCryptor({ participantIdentity: "alice", keys, keyProviderOptions: KEY_PROVIDER_DEFAULTS }));
  if (!sound) for (const cryptor of cryptors) cryptor.setVideoCodec("vp8");
  const outlet = { enqueue: () => undefined };
  return {
    seal: (frame) => cryptors[0].encodeFunction(frame, outlet),
    open: (frame) => cryptors[1].decodeFunction(frame, outlet),
    end: () => undefined,
  };
}

async function dave(sound, file) {
  const session = await makeDave(file);
  const replace = (frame, made) => (frame.data = made.slice().buffer);
  return {
    seal: (frame) => void replace(frame, session.seal(sound, frame.data)),
    open: (frame) => void replace(frame, session.open(sound, frame.data)),
    end: () => undefined,
  };
}

/** One call of WebCrypto and nothing else: the same nonce again would be wrong anywhere but here. */
async function bareWebCrypto() {
  const key = await crypto.subtle.importKey("raw", KEY, "AES-GCM", false, ["encrypt", "decrypt"]);
  const parameters = { name: "AES-GCM", iv: new Uint8Array(12), additionalData: new Uint8Array(5), tagLength: 128 };
  return {
    seal: (frame) => crypto.subtle.encrypt(parameters, key, frame.data).then((made) => void (frame.data = made)),
    open: (frame) => crypto.subtle.decrypt(parameters, key, frame.data).then((made) => void (frame.data = made)),
    end: () => undefined,
  };
}

/** Our engine on bytes that lie in its memory already and stay there. Opening costs the same, so it is not measured twice. */
function bareWasm(probe) {
  const seal = (frame) => void probe.seal(frame.data.byteLength);
  return { seal, open: seal, end: () => undefined };
}

export class Contenders {
  static async load() {
    const contenders = new Contenders();
    contenders.webCrypto = new WebCryptoEngine();
    await loadEngine();
    contenders.davey = await (await fetch("/davey.wasm")).arrayBuffer();
    return contenders;
  }

  /** @param {boolean} sound */
  async of(sound) {
    const { Probe } = await import("conclave-wasm");
    return {
      ours: await ours(sound, "standard", this.webCrypto),
      "ours, profile fips": await ours(sound, "fips", this.webCrypto),
      livekit: await livekit(sound),
      dave: await dave(sound, this.davey),
      "bare WebCrypto": await bareWebCrypto(),
      "bare WASM": bareWasm(new Probe()),
    };
  }

  /** Measures anew where to switch, as a worker does at its start. */
  async calibrate() {
    this.webCrypto = new WebCryptoEngine();
    // As long as its rounds take, and asking as the worker does.
    const until = performance.now() + CALIBRATION_MS;
    while (performance.now() < until) {
      await this.webCrypto.measureIfDue();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return this.webCrypto.point.threshold;
  }
}
