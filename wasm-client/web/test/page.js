// What `sdk/media` finds in a browser, as far as it looks: connections, signalling and tracks that do what a test says. What
// browsers really do is tested in tests/browser.

/** All connections so far. @type {FakePeer[]} */
export const peers = [];
/** All signalling connections so far. @type {FakeSocket[]} */
export const sockets = [];

class FakeTrack extends EventTarget {
  enabled = true;
  muted = false;
  readyState = "live";
  /** @type {FakeTrack[]} */
  clones = [];

  /** @param {string} kind */
  constructor(kind) {
    super();
    this.kind = kind;
    this.id = `track-${(FakeTrack.made += 1)}`;
  }
  clone() {
    const clone = new FakeTrack(this.kind);
    this.clones.push(clone);
    return clone;
  }
  stop() {
    this.readyState = "ended";
  }
  getSettings() {
    return { deviceId: this.id };
  }
}
FakeTrack.made = 0;

/** @param {"audio" | "video"} kind */
export function track(kind) {
  return new FakeTrack(kind);
}

class FakeSender {
  track = null;
  encodings;
  constructor(encodings) {
    this.encodings = encodings.length > 0 ? encodings.map((encoding) => ({ ...encoding })) : [{}];
  }
  async replaceTrack(track) {
    this.track = track;
  }
  getParameters() {
    return { encodings: this.encodings.map((encoding) => ({ ...encoding })) };
  }
  async setParameters({ encodings }) {
    this.encodings = encodings;
  }
  async getStats() {
    return new Map();
  }
  createEncodedStreams() {
    return { readable: {}, writable: {} };
  }
}

export class FakePeer extends EventTarget {
  connectionState = "new";
  iceConnectionState = "new";
  signalingState = "stable";
  localDescription = null;
  currentRemoteDescription = null;
  transceivers = [];

  constructor() {
    super();
    peers.push(this);
  }
  addTransceiver(kind, { direction, sendEncodings = [] }) {
    const mid = null;
    const transceiver = { kind, direction, mid, sender: new FakeSender(sendEncodings), receiver: { track: track(kind) } };
    this.transceivers.push({ ...transceiver, setCodecPreferences: () => undefined });
    return this.transceivers.at(-1);
  }
  async createOffer() {
    this.transceivers.forEach((transceiver, index) => (transceiver.mid = String(index)));
    const sections = this.transceivers.map(({ kind, direction, mid }) => `m=${kind} 9 X 111\r\na=mid:${mid}\r\na=${direction}\r\n`);
    return { type: "offer", sdp: `v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n${sections.join("")}` };
  }
  async setLocalDescription(description) {
    if (description.type !== "rollback") this.localDescription = description;
  }
  async setRemoteDescription(description) {
    this.currentRemoteDescription = description;
  }
  async getStats() {
    return new Map();
  }
  restartIce() {}
  setConfiguration() {}
  close() {
    this.connectionState = "closed";
  }
  becomes(state) {
    this.connectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }
  /** What goes out of this stream: the track behind its transceiver. @param {"audio" | "video"} kind */
  sends(kind) {
    return this.transceivers.find((transceiver) => transceiver.kind === kind && transceiver.direction === "sendonly")?.sender.track ?? null;
  }
}

export class FakeSocket extends EventTarget {
  static OPEN = 1;
  readyState = 0;
  sent = [];
  answered = null;
  #answering = false;

  constructor() {
    super();
    sockets.push(this);
  }
  send(text) {
    const message = JSON.parse(text);
    if (message.type === "ping") return this.says({ type: "pong" });
    this.sent.push(message);
    if (this.#answering && message.type === "offer") queueMicrotask(() => this.#answer());
  }
  close() {
    this.readyState = 3;
  }
  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event("open"));
  }
  breaks() {
    this.readyState = 3;
    this.dispatchEvent(new Event("close"));
  }
  says(message) {
    this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(message) }));
  }
  /** The last that was said of this kind. @param {string} type */
  last(type) {
    return this.sent.findLast((message) => message.type === type) ?? null;
  }
  /** Takes the offer that waits, and from now on those that follow. */
  async answers() {
    this.#answering = true;
    await settled(() => this.last("offer") !== null);
    if (this.last("offer") !== this.answered) this.#answer();
    await settled(() => false);
  }
  #answer() {
    this.answered = this.last("offer");
    const producers = this.answered.publish.map(({ mid }) => ({ mid, producer: `own-${mid}` }));
    this.says({ type: "answer", id: this.answered.id, sdp: "v=0\r\no=- 2 1 IN IP4 0.0.0.0\r\n", producers });
  }
}

/** The page's end of the line to the worker. */
export class FakeWorker {
  posted = [];
  transforms = [];
  post(message) {
    this.posted.push(message);
  }
  scriptTransform(options) {
    this.transforms.push(options);
    return options;
  }
}

/** Devices as `LocalDevices` has them, with tracks of the test's own. */
export class FakeDevices {
  problems = { microphone: null, camera: null };
  #listeners = [];
  constructor(tracks = { microphone: null, camera: null }) {
    this.tracks = tracks;
  }
  subscribe(listener) {
    this.#listeners.push(listener);
  }
  async set(kind, on) {
    this.put(kind, on ? track(kind === "microphone" ? "audio" : "video") : null);
  }
  put(kind, found) {
    this.tracks = { ...this.tracks, [kind]: found };
    for (const listener of this.#listeners) listener(this.tracks);
  }
  stopAll() {
    for (const found of Object.values(this.tracks)) found?.stop();
  }
}

/** Timers that a test lets run. */
export class Timers {
  #all = new Map();
  #count = 0;
  now = 0;

  set(call, ms, every) {
    this.#all.set((this.#count += 1), { call, at: this.now + (ms ?? 0), every: every ? ms : null });
    return this.#count;
  }
  clear(id) {
    this.#all.delete(id);
  }
  /** Lets time pass, with what is due in it. @param {number} ms */
  async pass(ms) {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.#all].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      const [id, timer] = due;
      this.now = Math.max(this.now, timer.at);
      if (timer.every === null) this.#all.delete(id);
      else timer.at += timer.every;
      timer.call();
      await settled(() => false);
    }
    this.now = end;
    await settled(() => false);
  }
}

/** Sets up a page anew; gives its timers. */
export function page() {
  peers.length = 0;
  sockets.length = 0;
  const timers = new Timers();
  const window = Object.assign(new EventTarget(), {
    setTimeout: (call, ms) => timers.set(call, ms, false),
    clearTimeout: (id) => timers.clear(id),
    setInterval: (call, ms) => timers.set(call, ms, true),
    clearInterval: (id) => timers.clear(id),
  });
  const globals = {
    window,
    navigator: {},
    location: { origin: "https://conclave.test", search: "" },
    RTCPeerConnection: FakePeer,
    RTCRtpScriptTransform: class {},
    RTCRtpSender: class {
      static getCapabilities() {
        return null;
      }
    },
    WebSocket: FakeSocket,
    reportError: (fault) => {
      throw fault;
    },
  };
  for (const [name, value] of Object.entries(globals)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  performance.now = () => timers.now;
  return timers;
}

/** Lets what was begun go on, for as long as it takes. @param {() => unknown} done */
export async function settled(done) {
  for (let turn = 0; turn < 30 && !done(); turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
