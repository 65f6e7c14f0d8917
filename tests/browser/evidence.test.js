// After a meeting: its exported transcript and the log's folder satisfy the auditor, and no tampered one does (C7).
import assert from "node:assert/strict";
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./lib/browser.js";
import { Conclave, runToEnd } from "./lib/conclave.js";
import { agreed, Person } from "./lib/person.js";

/** @type {Conclave} */
let conclave;
/** @type {string} */
let link;
/** @type {string} */
let bundle;

before(async () => {
  conclave = await Conclave.start();
  const browsers = await Promise.all([launch("chromium"), launch("firefox")]);
  try {
    link = await conclave.makeRoom();
    const ada = await Person.joining(browsers[0], "Ada Lovelace", link);
    const ben = await Person.joining(browsers[1], "Ben Okri", link);
    await agreed([ada, ben]);
    await ben.leave();
    await agreed([ada]);
    bundle = join(conclave.folder, "meeting.json");
    await writeFile(bundle, await transcript());
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()));
  }
});
after(() => conclave?.end());

/** As a participant fetches it. */
async function transcript() {
  const { pathname } = new URL(link);
  const room = pathname.split("/").at(-1);
  const session = await fetch(`${conclave.url}/api/rooms/${room}/sessions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "Auditor" }),
  });
  const { session: token } = await session.json();
  const answer = await fetch(`${conclave.url}/api/rooms/${room}/transcript`, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(answer.status, 200);
  return answer.text();
}

/** @param {string} file @param {string} [folder] @param {string} [root] */
function audit(file, folder = join(conclave.data, "log"), root = link) {
  return runToEnd(["audit", "transcript", "--bundle", file, "--log", folder, "--root", root]);
}

test("the transcript of a meeting is verified offline and names who was in", async (t) => {
  const { code, text } = await audit(bundle);
  t.diagnostic(text);
  assert.equal(code, 0, text);
  assert.match(text, /Ada Lovelace/);
  assert.match(text, /Ben Okri/);
  assert.match(text, /VERIFIED: every claim holds/);
});

test("it is not verified under another root than the link's (AUDT-2)", async () => {
  const other = Buffer.alloc(32, 7).toString("base64url");
  const { code, text } = await audit(bundle, undefined, other);
  assert.equal(code, 1, text);
  assert.match(text, /NOT VERIFIED/);
});

test("a commit with one changed byte is named as what fails (AUDT-9)", async () => {
  const changed = JSON.parse(await readFile(bundle, "utf8"));
  const epoch = changed.generations[0].epochs[0];
  const bytes = Buffer.from(epoch.commit, "base64url");
  bytes[Math.floor(bytes.length / 2)] ^= 1;
  epoch.commit = bytes.toString("base64url");
  const file = join(conclave.folder, "changed.json");
  await writeFile(file, JSON.stringify(changed));
  const { code, text } = await audit(file);
  assert.equal(code, 1, text);
  assert.match(text, new RegExp(`FAILED .* in generation \\d+, epoch ${epoch.epoch}: `));
});

test("a transcript that leaves out the last epoch is not believed (AUDT-13)", async () => {
  const shorter = JSON.parse(await readFile(bundle, "utf8"));
  shorter.generations.at(-1).epochs.pop();
  const file = join(conclave.folder, "shorter.json");
  await writeFile(file, JSON.stringify(shorter));
  const { code, text } = await audit(file);
  assert.equal(code, 1, text);
  assert.match(text, /NOT VERIFIED/);
});

test("a log with one changed byte in an entry is not believed (AUDT-5)", async () => {
  const folder = join(conclave.folder, "changed-log");
  await cp(join(conclave.data, "log"), folder, { recursive: true });
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  const bundles = files.filter((file) => file.isFile() && join(file.parentPath ?? file.path, file.name).includes("/tile/entries/"));
  assert.ok(bundles.length > 0, "no entries in the log");
  for (const file of bundles) {
    const path = join(file.parentPath ?? file.path, file.name);
    const bytes = await readFile(path);
    bytes[bytes.length - 5] ^= 1;
    await writeFile(path, bytes);
  }
  const { code, text } = await audit(bundle, folder);
  assert.equal(code, 1, text);
  assert.match(text, /NOT VERIFIED/);
});

test("a stranger without a session gets no transcript", async () => {
  const room = new URL(link).pathname.split("/").at(-1);
  const answer = await fetch(`${conclave.url}/api/rooms/${room}/transcript`);
  assert.equal(answer.status, 401);
});
