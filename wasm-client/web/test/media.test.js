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
