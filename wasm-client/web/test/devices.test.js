// Camera, microphone and screen when the browser's answer comes late, is no, or was about something that is gone.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { load } from "./load.js";
import { page, settled, track } from "./page.js";

const { LocalDevices } = await load("sdk/media/devices.ts");
const { ScreenShare } = await load("sdk/media/screen.ts");
const { deviceWords } = await load("sdk/media/device-words.ts");

/** What the page asked for and was not answered yet. @type {{ constraints: any, gives: (...kinds: string[]) => any[], fails: (name: string) => void }[]} */
let asked = [];

beforeEach(() => {
  page();
  asked = [];
  const ask = (constraints) =>
    new Promise((resolve, reject) => {
      const gives = (...kinds) => {
        const tracks = kinds.map(track);
        const of = (kind) => tracks.filter((found) => found.kind === kind);
        resolve({ getTracks: () => tracks, getAudioTracks: () => of("audio"), getVideoTracks: () => of("video") });
        return tracks;
      };
      asked.push({ constraints, gives, fails: (name) => reject(new DOMException("", name)) });
    });
  globalThis.navigator.mediaDevices = { getUserMedia: ask, getDisplayMedia: ask };
});

test("CLNT-21: a microphone or camera that is allowed after leaving is stopped at once, and nothing more is asked for", async () => {
  for (const begin of [(devices) => devices.start(), (devices) => devices.set("microphone", true)]) {
    const devices = new LocalDevices();
    const done = begin(devices);
    devices.stopAll();
    const given = asked.at(-1).gives("audio", "video");
    await done;
    assert.equal(given[0].readyState, "ended");
    assert.deepEqual(devices.tracks, { microphone: null, camera: null });
  }
  const devices = new LocalDevices();
  const done = devices.start();
  devices.stopAll();
  const before = asked.length;
  asked.at(-1).fails("NotFoundError");
  await done;
  await devices.set("camera", true);
  assert.equal(asked.length, before);
});

test("CLNT-21: leaving between the two questions that follow a joint no asks no second one", async () => {
  const devices = new LocalDevices();
  const done = devices.start();
  asked[0].fails("NotFoundError");
  await settled(() => asked.length === 2);
  devices.stopAll();
  const [microphone] = asked[1].gives("audio");
  await done;
  assert.equal(microphone.readyState, "ended");
  assert.equal(asked.length, 2);
});

test("a device that was switched off while the joint question was open is not asked for again", async () => {
  const devices = new LocalDevices();
  const done = devices.start();
  await devices.set("camera", false);
  asked[0].fails("NotReadableError");
  await settled(() => asked.length === 2);
  asked[1].gives("audio");
  await done;
  assert.equal(asked.length, 2);
  assert.deepEqual([devices.tracks.microphone?.kind, devices.tracks.camera, devices.problems.camera], ["audio", null, null]);
});

test("the no to an outdated wish changes nothing", async () => {
  const devices = new LocalDevices();
  const first = devices.set("camera", true);
  const second = devices.set("camera", true);
  const [camera] = asked[1].gives("video");
  await second;
  asked[0].fails("NotReadableError");
  await first;
  assert.equal(devices.tracks.camera, camera);
  assert.equal(devices.problems.camera, null);
});

test("CLNT-22: a problem is of one device, is told once, and is over when the device is switched off", async () => {
  const devices = new LocalDevices();
  const told = [];
  devices.onProblem(({ kinds, problem }) => told.push([...kinds, problem]));
  const done = devices.start();
  asked[0].fails("NotFoundError");
  await settled(() => asked.length === 2);
  asked[1].gives("audio");
  await settled(() => asked.length === 3);
  asked[2].fails("NotReadableError");
  await done;
  assert.deepEqual(devices.problems, { microphone: null, camera: "busy" });
  assert.deepEqual(told, [["camera", "busy"]]);
  await devices.set("microphone", false);
  await devices.set("camera", false);
  assert.deepEqual(devices.problems, { microphone: null, camera: null });
  assert.equal(told.length, 1);
});

test("CLNT-22: a no to both is told in one sentence", async () => {
  const devices = new LocalDevices();
  const told = [];
  devices.onProblem(({ kinds, problem }) => told.push(deviceWords(kinds, problem)));
  const done = devices.start();
  asked[0].fails("NotAllowedError");
  await done;
  assert.equal(asked.length, 1, "who said no is not asked again");
  assert.equal(told.length, 1);
  assert.match(told[0], /does not let this page use your microphone or camera/);
});

test("CLNT-22: a device that ends by itself is told, one that is switched off is not", async () => {
  const devices = new LocalDevices();
  const told = [];
  devices.onProblem(({ kinds, problem }) => told.push([...kinds, problem]));
  const done = devices.set("microphone", true);
  const [microphone] = asked[0].gives("audio");
  await done;
  microphone.dispatchEvent(new Event("ended"));
  assert.deepEqual([told, devices.tracks.microphone, devices.problems.microphone], [[["microphone", "gone"]], null, "gone"]);
  microphone.dispatchEvent(new Event("ended"));
  assert.equal(told.length, 1);
});

test("a chosen device that is not there any more is forgotten, and another one is taken", async () => {
  const devices = new LocalDevices();
  await devices.choose("camera", "old");
  const done = devices.set("camera", true);
  assert.deepEqual(asked[0].constraints.video.deviceId, { exact: "old" });
  asked[0].fails("OverconstrainedError");
  await settled(() => asked.length === 2);
  assert.equal(asked[1].constraints.video.deviceId, undefined);
  const [camera] = asked[1].gives("video");
  await done;
  assert.equal(devices.tracks.camera, camera);
  assert.equal(devices.current("camera"), camera.id);
  const again = devices.set("camera", true);
  assert.equal(asked[2].constraints.video.deviceId, undefined);
  asked[2].gives("video");
  await again;
});

test("a chosen device that is in use stays chosen", async () => {
  const devices = new LocalDevices();
  await devices.choose("camera", "old");
  const done = devices.set("camera", true);
  asked[0].fails("NotReadableError");
  await done;
  assert.equal(asked.length, 1);
  assert.equal(devices.current("camera"), "old");
});

test("CLNT-21: a screen that is picked after leaving, or a second time, is let go at once", async () => {
  const screen = new ScreenShare();
  const [first, second] = [screen.start(), screen.start()];
  const shared = asked[0].gives("video", "audio");
  await first;
  assert.equal(screen.tracks.screen, shared[0]);
  const twice = asked[1].gives("video", "audio");
  assert.equal(await second, null);
  assert.deepEqual(twice.map(({ readyState }) => readyState), ["ended", "ended"]);
  assert.equal(screen.tracks.screen, shared[0]);
  screen.stop();
  const third = screen.start();
  screen.close();
  const late = asked[2].gives("video", "audio");
  assert.equal(await third, null);
  assert.deepEqual(late.map(({ readyState }) => readyState), ["ended", "ended"]);
  assert.equal(screen.tracks.screen, null);
});
