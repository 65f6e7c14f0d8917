import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { Silence } = await load("sdk/media/path-watch.ts");
const { sessionOf } = await load("sdk/media/sdp.ts");

/** Which of these looks raise an alarm: `.` nothing came, `x` something did. */
function alarms(looks) {
  const silence = new Silence();
  let count = 0;
  return [...looks].map((look) => (silence.hear(look === "x" ? (count += 100) : count) ? "!" : "-")).join("");
}

test("RELY-49: three looks with nothing, after a lively time, are silence until something comes", () => {
  assert.equal(alarms("xxxxxx....x.."), "--------!!---");
  assert.equal(alarms("xxxxxx...xxxxx..."), "--------!-------!");
});

test("RELY-49: pauses of a quiet call are no silence", () => {
  assert.equal(alarms("x..x...x....x.........."), "-----------------------");
  assert.equal(alarms("xxxxxxx..x..x..xxxxxx..x"), "------------------------");
  assert.equal(alarms("......................."), "-----------------------");
});

test("RELY-49: a new way that counts from nought is something that came", () => {
  const silence = new Silence();
  for (const count of [1, 2, 3, 4, 5, 6]) assert.equal(silence.hear(count), false);
  silence.hear(6);
  assert.equal(silence.quiet, 1);
  assert.equal(silence.hear(0), false);
  assert.equal(silence.quiet, 0);
});

test("RELY-49: a page that was held up has heard nothing that counts", () => {
  const silence = new Silence();
  for (const count of [1, 2, 3, 4, 5, 6]) silence.hear(count);
  silence.hear(6);
  silence.forget();
  assert.deepEqual([silence.hear(6), silence.hear(6), silence.hear(6)], [false, false, false]);
});

test("the session of a description is the number in its o= line", () => {
  assert.equal(sessionOf("v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\n"), "4611731400430051336");
  assert.equal(sessionOf("nonsense"), null);
});
