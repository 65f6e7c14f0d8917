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
