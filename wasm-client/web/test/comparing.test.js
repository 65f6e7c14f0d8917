import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { Comparing } = await load("sdk/comparing.ts");
const group = (...names) => ({ me: 0, roster: ["Ada", ...names].map((name, leaf) => ({ leaf, name, fingerprint: `key of ${name}` })) });
const shown = (...names) => ({ code: ["12345"], fingerprints: names.map((name) => `key of ${name}`) });
const names = ({ compared }) => compared?.map(({ name }) => name);

test("CLNT-19: whoever was in the group all the while was compared, and nobody else is marked", () => {
  const comparing = new Comparing();
  comparing.see(group("Ben", "Cleo"), 0);
  assert.deepEqual(names(comparing.judge(shown("Ben", "Cleo"), group("Ben", "Cleo"), 10_000)), ["Ben", "Cleo"]);
});

test("CLNT-19: somebody who came in a moment before the click is not marked, and is named; nor are the others by that click", () => {
  const comparing = new Comparing();
  comparing.see(group("Ben"), 0);
  const joined = group("Ben", "Mallory");
  comparing.see(joined, 20_000);
  for (const seen of [shown("Ben"), shown("Ben", "Mallory")]) {
    const { compared, refused } = comparing.judge(seen, joined, 20_100);
    assert.equal(compared, undefined);
    assert.match(refused, /Mallory came in while you compared.*another one/);
  }
  assert.deepEqual(names(comparing.judge(shown("Ben", "Mallory"), joined, 30_000)), ["Ben", "Mallory"]);
});

test("CLNT-19: whom the code on the screen did not cover is not marked, however long they are there", () => {
  const comparing = new Comparing();
  comparing.see(group("Ben", "Mallory"), 0);
  assert.match(comparing.judge(shown("Ben"), group("Ben", "Mallory"), 60_000).refused, /Mallory/);
});

test("CLNT-19: another key of the same person is somebody who came", () => {
  const comparing = new Comparing();
  comparing.see(group("Ben"), 0);
  const anew = { me: 0, roster: [group().roster[0], { leaf: 1, name: "Ben", fingerprint: "another key" }] };
  comparing.see(anew, 20_000);
  assert.match(comparing.judge({ code: ["1"], fingerprints: ["another key"] }, anew, 20_500).refused, /Ben came in/);
});

test("CLNT-19: an epoch without a newcomer, or with somebody less, leaves the comparison as it is", () => {
  const comparing = new Comparing();
  comparing.see(group("Ben", "Cleo"), 0);
  comparing.see(group("Ben", "Cleo"), 9_900);
  comparing.see(group("Ben"), 9_950);
  assert.deepEqual(names(comparing.judge(shown("Ben", "Cleo"), group("Ben"), 10_000)), ["Ben"]);
});

test("CLNT-19: without a code, a group or a moment to read it nobody is marked", () => {
  const comparing = new Comparing();
  comparing.see(group("Ben"), 1_000);
  assert.match(comparing.judge({ code: [], fingerprints: ["key of Ben"] }, group("Ben"), 60_000).refused, /no code/);
  assert.match(comparing.judge(shown("Ben"), null, 60_000).refused, /no code/);
  assert.match(comparing.judge(shown("Ben"), group("Ben"), 2_000).refused, /a moment only/);
});
