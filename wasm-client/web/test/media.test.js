// What this device sends, over one relay session and from one to the next; with connections of the test's own (page.js).
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { load } from "./load.js";
import { FakeDevices, FakeWorker, page, peers, settled, sockets, track } from "./page.js";

const { Media } = await load("sdk/media/media.ts");

/** @type {import("./page.js").Timers} */
let timers;
beforeEach(() => (timers = page()));

/** A call that stands, with what this device sends confirmed by its worker. */
async function call() {
  const worker = new FakeWorker();
  const devices = new FakeDevices({ microphone: track("audio"), camera: track("video") });
  const media = new Media(worker, devices);
  media.expectSealing(true);
  devices.put("microphone", devices.tracks.microphone);
  media.useRelay("https://relay.test/", "token", []);
  await stands(0);
  await confirmed(media, media.session);
  return { worker, devices, media };
}

/** The relay takes the session with this number, and media flows. @param {number} number */
async function stands(number) {
  sockets[number].open();
  sockets[number].says({ type: "ready", participant: "p" });
  sockets[number].says({ type: "producers", added: [], removed: [] });
  await sockets[number].answers();
  peers[number].becomes("connected");
  await settled(() => false);
}

/** The worker saw sealed frames of each sender of this session. */
async function confirmed(media, session) {
  for (const { id, role } of media.worker.transforms) if (role === "seal") session.confirm(id);
  await settled(() => false);
}

/** The relay is going down, and a session with another one is being made. */
async function moves() {
  sockets[0].says({ type: "error", code: "shutting-down", message: "", fatal: false });
  await settled(() => false);
  assert.equal(peers.length, 2);
}

test("CLNT-18: whoever mutes while the relay is changed is muted at the new one too, before and after it stands", async () => {
  const { media } = await call();
  assert.equal(peers[0].sends("audio")?.enabled, true);
  await moves();
  await media.setMicrophone(false);
  assert.equal(peers[0].sends("audio")?.enabled, false);
  await stands(1);
  await confirmed(media, media.session);
  assert.equal(media.local.microphone, "off");
  assert.notEqual(peers[1].sends("audio"), null);
  assert.equal(peers[1].sends("audio")?.enabled, false, "what the page calls muted is not heard");
  await media.setMicrophone(true);
  assert.equal(peers[1].sends("audio")?.enabled, true);
});

test("CLNT-18: whoever was muted before the relay was changed stays so, and what is unmuted on the way is heard", async () => {
  const { media } = await call();
  await media.setMicrophone(false);
  await moves();
  await media.setMicrophone(true);
  await stands(1);
  await confirmed(media, media.session);
  assert.equal(peers[1].sends("audio")?.enabled, true);
});

/** Somebody's stream as the relay tells of it. @param {string} producer */
const telling = (producer, participant = "ben", source = "microphone", kind = "audio") => ({ producer, participant, source, kind });

/** What the worker says of the latest receiver. @param {FakeWorker} worker */
function opener(worker) {
  const { id } = worker.transforms.findLast(({ role }) => role === "open");
  const binding = () => worker.posted.findLast((message) => message.type === "forget-sender" && message.id === id)?.binding ?? 0;
  const says = (leaf, change = {}) => ({ type: "authenticated", id, leaf, stream: "microphone", epoch: 3, binding: binding(), waits: false, ...change });
  return { id, binding, says };
}

test("CLNT-20: a leaf that is somebody else's now has no track, and what was said of it before is out of date", async () => {
  const { worker, media } = await call();
  sockets[0].says({ type: "producers", added: [telling("b1")], removed: [] });
  await sockets[0].answers();
  const { id, binding, says } = opener(worker);
  const receiver = media.session.receiver(id);
  const early = says(1);
  assert.equal(receiver.bind(early), true);
  assert.notEqual(media.session.track(1, "microphone"), null);
  media.session.forgetLeaves(new Set([2]));
  assert.notEqual(media.session.track(1, "microphone"), null, "the others keep theirs");
  const before = binding();
  media.session.forgetLeaves(new Set([1]));
  assert.equal(media.session.track(1, "microphone"), null);
  assert.equal(binding(), before + 1, "the worker is told");
  assert.equal(receiver.bind(early), false, "said before it knew");
  assert.equal(media.session.track(1, "microphone"), null);
  assert.equal(receiver.bind(says(4)), true);
  assert.notEqual(media.session.track(4, "microphone"), null);
});

test("CLNT-20: the worker's frames of another sender are let on when their tile has the track, and not by an outdated word", async () => {
  const { worker, media } = await call();
  sockets[0].says({ type: "producers", added: [telling("b1")], removed: [] });
  await sockets[0].answers();
  const { id, binding, says } = opener(worker);
  const receiver = media.session.receiver(id);
  const bound = () => worker.posted.filter(({ type }) => type === "bound");
  receiver.bind(says(1));
  assert.deepEqual(bound(), []);
  assert.equal(receiver.bind(says(2, { waits: true, binding: binding() - 1 })), false);
  assert.deepEqual(bound(), []);
  receiver.bind(says(2, { waits: true }));
  assert.equal(media.session.track(1, "microphone"), null);
  assert.deepEqual(bound(), [{ type: "bound", id, binding: binding() }]);
});

test("RELY-52: what the worker says of the connection to the next relay is heard before it has taken the first one's place", async () => {
  const { worker, media } = await call();
  await moves();
  const [first, second] = media.sessions;
  assert.deepEqual(media.sessions, [media.session, second]);
  assert.equal(media.sessions.length, 2);
  sockets[1].open();
  sockets[1].says({ type: "ready", participant: "p" });
  sockets[1].says({ type: "producers", added: [telling("b1")], removed: [] });
  await sockets[1].answers();
  const { id, says } = opener(worker);
  assert.equal(first.receiver(id), null);
  assert.equal(media.receiver(id)?.bind(says(1)), true);
  await confirmed(media, second);
  peers[1].becomes("connected");
  assert.equal(media.session, second);
  assert.notEqual(media.session.track(1, "microphone"), null);
  assert.equal(media.local.microphone, "on");
});

test("CLNT-11: without a worker the connection to the next relay is closed as well, and none is made until there is another worker", async () => {
  const { media } = await call();
  await moves();
  sockets[1].breaks();
  await settled(() => false);
  await timers.pass(1_000);
  assert.equal(peers.length, 3, "it is tried again");
  media.halt();
  assert.deepEqual(peers.map(({ connectionState }) => connectionState), ["closed", "closed", "closed"]);
  await timers.pass(20_000);
  assert.equal(peers.length, 3);
  assert.equal(media.sessions.length, 1);
});

test("CLNT-11: a move that was to be tried again is not, without a worker", async () => {
  const { media } = await call();
  await moves();
  sockets[1].breaks();
  await settled(() => false);
  media.halt();
  media.resume();
  assert.equal(peers.length, 3, "the new worker's own");
  await timers.pass(3_000);
  assert.equal(peers.filter(({ connectionState }) => connectionState !== "closed").length, 1);
});

test("CLNT-31: what was wished for while the line was broken is wished again when it holds, what is as it was too", async () => {
  const { media } = await call();
  sockets[0].says({ type: "producers", added: [telling("b1", "ben", "camera", "video"), telling("c1", "cleo", "camera", "video")], removed: [] });
  await sockets[0].answers();
  const wish = (producer, paused) => ({ producer, max_layer: null, paused, pinned: false });
  media.session.wish([wish("b1", true), wish("c1", true)]);
  assert.equal(sockets[0].last("wishes").wishes.length, 2);
  sockets[0].breaks();
  media.session.wish([wish("b1", false), wish("c1", true)]);
  await timers.pass(10);
  assert.equal(sockets.length, 2);
  sockets[1].open();
  sockets[1].says({ type: "ready", participant: "p" });
  sockets[1].says({ type: "producers", added: [telling("b1", "ben", "camera", "video"), telling("c1", "cleo", "camera", "video")], removed: [] });
  assert.equal(sockets[1].last("wishes"), null, "not before the relay has taken the offer");
  await sockets[1].answers();
  assert.deepEqual(sockets[1].last("wishes")?.wishes, [wish("b1", false), wish("c1", true)]);
  media.session.wish([wish("b1", false), wish("c1", true)]);
  sockets[1].says({ type: "producers", added: [telling("d1", "dora", "camera", "video")], removed: [] });
  await sockets[1].answers();
  assert.equal(sockets[1].sent.filter(({ type }) => type === "wishes").length, 1, "said once");
});

/** A call that stands in which the worker sealed a frame of these streams only, and what the user was told. @param {string[]} streams */
async function halfConfirmed(streams) {
  const worker = new FakeWorker();
  const devices = new FakeDevices({ microphone: track("audio"), camera: track("video") });
  const media = new Media(worker, devices);
  const notes = [];
  media.onNote((text) => notes.push(text));
  media.expectSealing(true);
  media.useRelay("https://relay.test/", "token", []);
  await stands(0);
  for (const { id, role, stream } of worker.transforms) if (role === "seal" && streams.includes(stream)) media.session.confirm(id);
  await settled(() => false);
  return { worker, devices, media, notes };
}

const senders = (worker, stream) => worker.transforms.filter((options) => options.stream === stream).map(({ id }) => id);

test("PF-28: one stream of which no frame is seen gets another sender, and then is not sent; the others go on", async () => {
  globalThis.RTCRtpSender.prototype.createEncodedStreams = () => undefined;
  const { worker, media, notes } = await halfConfirmed(["microphone"]);
  await timers.pass(8_500);
  assert.equal(peers.length, 1, "the way works, so it is not given up");
  assert.equal(senders(worker, "camera").length, 2);
  assert.deepEqual([media.local.microphone, media.local.camera, notes], ["on", "held", []]);
  await timers.pass(8_500);
  assert.deepEqual([media.local.microphone, media.local.camera], ["on", "unsealed"]);
  assert.equal(notes.length, 1);
  assert.match(notes[0], /encrypts your picture, so that is not sent/);
  const camera = peers[0].transceivers.filter(({ kind }) => kind === "video").at(-1);
  assert.equal(camera.direction, "inactive");
  assert.ok(camera.sender.encodings.every(({ active }) => active === false), "no black frames either");
  assert.equal(peers[0].sends("audio").enabled, true);
});

test("PF-28: another sender that is confirmed sends", async () => {
  const { worker, media, notes } = await halfConfirmed(["microphone"]);
  await timers.pass(8_500);
  media.session.confirm(senders(worker, "camera").at(-1));
  await timers.pass(20_000);
  assert.deepEqual([media.local.camera, notes], ["on", []]);
});

test("PF-28: where nothing at all was confirmed the other way is taken, for all streams, once", async () => {
  globalThis.RTCRtpSender.prototype.createEncodedStreams = () => undefined;
  const { media, notes } = await halfConfirmed([]);
  await timers.pass(8_500);
  assert.equal(peers.length, 2);
  assert.equal(peers[0].connectionState, "closed");
  assert.deepEqual([media.local.microphone, media.local.camera], ["held", "held"], "each has its chance there");
  assert.equal(notes.length, 1);
  assert.match(notes[0], /your sound.*other way; until that is confirmed, nothing of you is sent/);
});

test("PF-28: a source that gives no frames is not waited for", async () => {
  const { devices, media, notes } = await halfConfirmed(["microphone"]);
  devices.tracks.camera.clones.at(-1).muted = true;
  await timers.pass(60_000);
  assert.deepEqual([media.local.camera, notes], ["held", []]);
  devices.tracks.camera.clones.at(-1).muted = false;
  await timers.pass(20_000);
  assert.equal(media.local.camera, "unsealed");
});

test("a relay that answers pings and no offer is given up, and another connection made", async () => {
  const media = new Media(new FakeWorker(), new FakeDevices());
  media.useRelay("https://relay.test/", "token", []);
  sockets[0].open();
  sockets[0].says({ type: "ready", participant: "p" });
  sockets[0].says({ type: "producers", added: [], removed: [] });
  await settled(() => false);
  await timers.pass(9_000);
  assert.equal(peers.length, 1);
  await timers.pass(2_000);
  assert.deepEqual(peers.map(({ connectionState }) => connectionState), ["closed", "new"]);
});

test("PF-30: a connection that takes long is called so, and up when it is", async () => {
  const media = new Media(new FakeWorker(), new FakeDevices());
  await timers.pass(60_000);
  assert.equal(media.link, "connecting", "there is no relay yet");
  media.useRelay("https://relay.test/", "token", []);
  await timers.pass(2_000);
  assert.equal(media.link, "connecting");
  await timers.pass(1_000);
  assert.equal(media.link, "slow");
  await stands(0);
  assert.equal(media.link, "up");
});

test("PF-30: what the relay ended on purpose is not tried again, and not called so, until there is another pass", async () => {
  for (const code of ["replaced", "disconnected"]) {
    timers = page();
    const { media } = await call();
    sockets[0].says({ type: "error", code, message: "", fatal: true });
    await timers.pass(60_000);
    assert.deepEqual([media.link, peers.length], ["ended", 1]);
    media.useRelay("https://relay.test/", "another token", []);
    assert.equal(media.link, "lost");
    await timers.pass(1_000);
    assert.equal(peers.length, 2);
  }
});
