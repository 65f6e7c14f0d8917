// What the transform costs in a running call in Chromium: the same call, 720p30 and Opus over a loopback connection in one page, without a
// transform, with ours (two members of a real group, each with a worker of the product's build), and with LiveKit's worker. Taken
// in turn, some seconds each, several times. Run by `cargo xtask bench call`.
import { readFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { launch } from "../lib/browser.js";
import { Conclave } from "../lib/conclave.js";
import { print, quantile } from "../lib/figures.js";
import { withPrelude } from "../lib/hostile.js";
import { webApp } from "../lib/needs.js";
import { threadSeconds } from "../lib/threads.js";

const ROUNDS = Number(process.env.CONCLAVE_BENCH_ROUNDS ?? 4);
const SPAN_MS = 8_000;
const WARM_MS = 3_000;
const WAYS = /** @type {const} */ (["none", "ours", "LiveKit"]);

/** In both workers, around the function that is given to the TransformStream: when a frame came in and out, and how long it was. */
const PRELUDE = `{
  const Real = self.TransformStream;
  let frames = [];
  new BroadcastChannel("frames").onmessage = ({ data }) => {
    if (data !== "drain") return;
    const channel = new BroadcastChannel("drained");
    channel.postMessage(frames);
    channel.close();
    frames = [];
  };
  self.TransformStream = class {
    constructor({ transform, ...rest }) {
      return new Real({ ...rest, transform(frame, controller) {
        const came = performance.now();
        const before = frame.data.byteLength;
        const kind = "type" in frame ? "video" : "audio";
        return transform(frame, { enqueue(done) {
          const after = done.data.byteLength;
          controller.enqueue(done);
          frames.push([kind, performance.now() - came, after - before]);
        } });
      } });
    }
  };
}
`;

/** Runs in the page: sets a call up and keeps it in `globalThis.call`. */
async function setUp(way, { worker, link, livekit }) {
  const nextMessage = (from, wanted) =>
    new Promise((resolve) => from.addEventListener("message", function look({ data }) {
      if (!wanted(data)) return;
      from.removeEventListener("message", look);
      resolve(data);
    }));
  const workers = [];
  let transform = (_role, _kind) => null;
  if (way === "ours") {
    const { room, rootHash } = link;
    const member = async (name) => {
      const one = new Worker(worker, { type: "module", name });
      workers.push(one);
      await nextMessage(one, ({ type }) => type === "ready");
      const answer = await fetch(`/api/rooms/${room}/sessions`, { method: "POST", body: JSON.stringify({ name }), headers: { "content-type": "application/json" } });
      const { session } = await answer.json();
      const deliveryUrl = `ws://${location.host}/api/rooms/${room}/delivery`;
      const seals = (count) => nextMessage(one, ({ type, epoch }) => type === "sending" && epoch !== null && epoch >= count);
      one.postMessage({ type: "join", pinned: { room, rootHash, profile: "standard" }, session, deliveryUrl });
      return { one, seals };
    };
    const ada = await member("Ada");
    await ada.seals(0);
    const both = ada.seals(1);
    const ben = await member("Ben");
    await Promise.all([both, ben.seals(1)]);
    transform = (role, kind) =>
      role === "seal"
        ? new RTCRtpScriptTransform(ada.one, { role, id: `seal-${kind}`, stream: kind === "audio" ? "microphone" : "camera" })
        : new RTCRtpScriptTransform(ben.one, { role, id: `open-${kind}`, kind });
  }
  if (way === "LiveKit") {
    const one = new Worker(URL.createObjectURL(new Blob([livekit], { type: "text/javascript" })), { type: "module" });
    workers.push(one);
    const keyProviderOptions = { sharedKey: true, ratchetSalt: "LKFrameEncryptionKey", ratchetWindowSize: 0, failureTolerance: 10, keyringSize: 16, keySize: 128 };
    one.postMessage({ kind: "init", data: { keyProviderOptions, loglevel: "silent" } });
    await nextMessage(one, ({ kind }) => kind === "initAck");
    const key = await crypto.subtle.importKey("raw", new TextEncoder().encode("a password for a measurement"), "PBKDF2", false, ["deriveBits", "deriveKey"]);
    for (const participantIdentity of ["Ada", "Ben"]) {
      one.postMessage({ kind: "enable", data: { enabled: true, participantIdentity } });
      await nextMessage(one, ({ kind }) => kind === "enable");
    }
    one.postMessage({ kind: "setKey", data: { key, keyIndex: 0, isPublisher: true, updateCurrentKeyIndex: true } });
    const codec = (kind) => (kind === "video" ? { codec: "vp8" } : {});
    transform = (role, kind) =>
      new RTCRtpScriptTransform(one, { kind: role === "seal" ? "encode" : "decode", participantIdentity: role === "seal" ? "Ada" : "Ben", trackId: `${role}-${kind}`, hasPacketTrailer: false, ...codec(kind) });
  }

  // A picture that moves, with the time in it: 16 squares, black or white, of the milliseconds.
  const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
  const paint = canvas.getContext("2d");
  const CELL = 80;
  const draw = () => {
    const now = Math.round(performance.now()) & 0xffff;
    paint.fillStyle = `hsl(${(now / 20) % 360} 60% 50%)`;
    paint.fillRect(0, 80, 1280, 640);
    paint.fillStyle = "white";
    for (let at = 0; at < 24; at += 1) paint.fillRect((at * 97 + now / 4) % 1280, 120 + ((at * 61) % 560), 30, 30);
    for (let bit = 0; bit < 16; bit += 1) {
      paint.fillStyle = (now >> bit) & 1 ? "white" : "black";
      paint.fillRect(bit * CELL, 0, CELL, CELL);
    }
  };
  draw();
  const drawing = setInterval(draw, 1_000 / 30);
  const audio = (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks()[0];
  const tracks = [audio, canvas.captureStream(30).getVideoTracks()[0]];

  const [from, to] = [new RTCPeerConnection(), new RTCPeerConnection()];
  from.onicecandidate = ({ candidate }) => void to.addIceCandidate(candidate);
  to.onicecandidate = ({ candidate }) => void from.addIceCandidate(candidate);
  const delays = [];
  to.ontrack = ({ receiver, track }) => {
    const opens = transform("open", track.kind);
    if (opens) receiver.transform = opens;
    const element = Object.assign(document.createElement(track.kind), { srcObject: new MediaStream([track]), autoplay: true, muted: true });
    document.documentElement.append(element);
    if (track.kind === "audio") return;
    const strip = Object.assign(document.createElement("canvas"), { width: 16, height: 1 }).getContext("2d", { willReadFrequently: true });
    const look = () => {
      const now = performance.now();
      strip.drawImage(element, 0, element.videoHeight / 36, element.videoWidth, element.videoHeight / 18, 0, 0, 16, 1);
      const pixels = strip.getImageData(0, 0, 16, 1).data;
      let drawn = 0;
      for (let bit = 0; bit < 16; bit += 1) if (pixels[bit * 4 + 1] > 127) drawn |= 1 << bit;
      delays.push((Math.round(now) - drawn) & 0xffff);
      element.requestVideoFrameCallback(look);
    };
    element.requestVideoFrameCallback(look);
  };
  for (const track of tracks) {
    const sends = track.kind === "video" ? { sendEncodings: [{ maxBitrate: 1_700_000 }] } : {};
    const transceiver = from.addTransceiver(track, { direction: "sendonly", ...sends });
    const mime = track.kind === "video" ? "video/VP8" : "audio/opus";
    transceiver.setCodecPreferences(RTCRtpSender.getCapabilities(track.kind).codecs.filter(({ mimeType }) => mimeType === mime));
    const seals = transform("seal", track.kind);
    if (seals) transceiver.sender.transform = seals;
  }
  await from.setLocalDescription();
  await to.setRemoteDescription(from.localDescription);
  await to.setLocalDescription();
  await from.setRemoteDescription(to.localDescription);

  globalThis.call = {
    delays,
    decoded: async () => {
      let count = 0;
      (await to.getStats()).forEach(({ type, kind, framesDecoded }) => (count += type === "inbound-rtp" && kind === "video" ? framesDecoded : 0));
      return count;
    },
    /** What the transforms of all workers noted since the last time. */
    frames: async () => {
      const all = [];
      const answers = new BroadcastChannel("drained");
      answers.onmessage = ({ data }) => all.push(...data);
      const channel = new BroadcastChannel("frames");
      channel.postMessage("drain");
      await new Promise((resolve) => setTimeout(resolve, 200));
      answers.close();
      channel.close();
      return all;
    },
    end: () => {
      clearInterval(drawing);
      for (const track of tracks) track.stop();
      from.close();
      to.close();
      for (const one of workers) one.terminate();
    },
  };
}

const folder = await mkdtemp(join(tmpdir(), "conclave-bench-"));
const web = await withPrelude(webApp(), join(folder, "web"), PRELUDE);
const livekit = PRELUDE + (await readFile(new URL("../../../peers/web/node_modules/livekit-client/dist/livekit-client.e2ee.worker.mjs", import.meta.url), "utf8"));
const conclave = await Conclave.start({ tap: false, web });
const browser = await launch("chromium");
const found = Object.fromEntries(WAYS.map((way) => [way, { seal: [], open: [], delays: [], cpu: [], bytes: { audio: [], video: [] } }]));
try {
  const manifest = JSON.parse(await readFile(join(web, "build.json"), "utf8"));
  const worker = `/${manifest.files.find(({ path }) => /^assets\/worker-\w+\.js$/.test(path)).path}`;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const way of WAYS) {
      const link = new URL(await conclave.makeRoom());
      const page = await (await browser.createBrowserContext()).newPage();
      await page.setBypassCSP(true);
      // Any page of this origin without an app of its own.
      await page.goto(`${conclave.url}/build.json`);
      await page.evaluate(setUp, way, { worker, livekit, link: { room: link.pathname.split("/")[2], rootHash: link.hash.slice(1) } });
      await pause(WARM_MS);
      await page.evaluate(() => void globalThis.call.frames().then(() => globalThis.call.delays.splice(0)));
      await pause(300);
      const [busy, decoded] = [threadSeconds(browser), await page.evaluate(() => globalThis.call.decoded())];
      await pause(SPAN_MS);
      const used = threadSeconds(browser);
      const frames = await page.evaluate(() => globalThis.call.frames());
      const seen = (await page.evaluate(() => globalThis.call.decoded())) - decoded;
      if (seen < SPAN_MS / 1_000 * 20) throw new Error(`${way}: only ${seen} pictures in ${SPAN_MS} ms`);
      const one = found[way];
      one.delays.push(...(await page.evaluate(() => globalThis.call.delays)));
      one.cpu.push(Object.fromEntries(Object.keys(busy).map((thread) => [thread, ((used[thread] - busy[thread]) / (SPAN_MS / 1_000)) * 100])));
      for (const [kind, took, grew] of frames) {
        (grew > 0 ? one.seal : one.open).push([kind, took]);
        if (grew > 0) one.bytes[kind].push(grew);
      }
      await page.evaluate(() => globalThis.call.end());
      await page.browserContext().close();
    }
  }
} finally {
  await browser.close();
  await conclave.end();
  await rm(folder, { recursive: true, force: true });
}

const rounded = (/** @type {number} */ figure) => Math.round(figure * 100) / 100;
for (const kind of ["video", "audio"]) {
  for (const [what, words] of [["seal", "into and out of the sealing transform"], ["open", "into and out of the opening transform"]]) {
    for (const [name, share] of /** @type {const} */ ([["p50", 0.5], ["p99", 0.99]])) {
      const figure = (way) => rounded(quantile(found[way][what].filter(([of]) => of === kind).map(([, took]) => took), share));
      print(`${kind === "video" ? "720p30 VP8" : "20 ms Opus"}: ${words}, ${name}`, "ms", figure("ours"), { peers: { LiveKit: figure("LiveKit") }, ...(name === "p50" ? { below: 1 } : {}) });
    }
  }
}
const middle = (way) => quantile(found[way].delays, 0.5);
print("720p30 VP8: from drawn to shown, p50, more than without a transform", "ms", middle("ours") - middle("none"), { peers: { LiveKit: middle("LiveKit") - middle("none"), "the whole, without": middle("none") } });
for (const thread of ["main", "worker", "all"]) {
  const figure = (way) => rounded(quantile(found[way].cpu.map((used) => used[thread]), 0.5));
  const words = { main: "main thread", worker: "workers", all: "all threads of the page" };
  print(`processor time of the page, both ends: ${words[thread]}`, "% of a core", figure("ours"), { peers: { "no transform": figure("none"), LiveKit: figure("LiveKit") } });
}
for (const kind of /** @type {const} */ (["audio", "video"])) {
  const figure = (way, share) => quantile(found[way].bytes[kind], share);
  print(`${kind === "video" ? "720p30 VP8" : "20 ms Opus"}: bytes that sealing adds to a frame, p50`, "bytes", figure("ours", 0.5), { most: 20, peers: { LiveKit: figure("LiveKit", 0.5), "DAVE (its protocol document)": "13-16" } });
  print(`${kind === "video" ? "720p30 VP8" : "20 ms Opus"}: bytes that sealing adds to a frame, most`, "bytes", figure("ours", 1), { peers: { LiveKit: figure("LiveKit", 1) } });
}
