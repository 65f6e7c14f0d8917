import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { connectionWords, headline, initials, list, noRoomWords, sealedWords, spokenWords } = await load("app/words.ts");
const person = (name, change = {}) => ({ name, me: false, trust: "checked", ...change });
const state = (change) => ({
  phase: { name: "call" },
  people: [],
  local: { microphone: "on", camera: "on", screen: "off" },
  ...change,
});

test("the page calls a meeting encrypted only in the call, and says to whom", () => {
  const me = person("Ada", { me: true });
  assert.doesNotMatch(headline(state({ phase: { name: "connecting", step: "engine" } })).short, /encrypt/i);
  assert.doesNotMatch(headline(state({ phase: { name: "rejoining", why: "" }, people: [me] })).short, /encrypt/i);
  assert.match(headline(state({ people: [me] })).short, /only you/i);
  assert.match(
    headline(state({ people: [me, person("Ben"), person("Cleo")] })).long,
    /Only you, Ben and Cleo hold the keys/,
  );
});

test("PF-15, PF-28: another key than before, and a sender that is not confirmed, are alarms with words", () => {
  const me = person("Ada", { me: true });
  const changed = headline(state({ people: [me, person("Ben", { trust: "changed" })] }));
  assert.equal(changed.tone, "alarm");
  assert.match(changed.long, /key of Ben/);
  const unsealed = (microphone, camera, screen) => headline(state({ people: [me], local: { microphone, camera, screen } }));
  const nothing = unsealed("unsealed", "unsealed", "off");
  assert.equal(nothing.tone, "alarm");
  assert.match(nothing.short, /not sending/i);
  assert.match(nothing.long, /your sound and your picture, so that is not sent\. Only/);
  const screen = unsealed("on", "off", "unsealed");
  assert.equal(screen.tone, "alarm");
  assert.equal(screen.short, "Not sent: your screen");
  assert.match(screen.long, /encrypts your screen, so that is not sent\. What else you send is encrypted/);
});

test("RELY-25: a picture that does not come for want of room says so, and that it comes back", () => {
  assert.equal(noRoomWords([]), null);
  assert.match(noRoomWords(["camera"]), /no room for the picture.*comes back/);
  assert.match(noRoomWords(["camera", "screen"]), /picture and screen/);
});

test("PF-30: every reason for which a frame is dropped has words, and says what comes next", () => {
  const reasons = [
    "early",
    "bad-shell",
    "bad-header",
    "epoch-over",
    "not-a-member",
    "own-frame",
    "unknown-stream",
    "wrong-kind",
    "replayed",
    "too-old",
    "not-authentic",
    "early-buffer-full",
    "early-too-long",
  ];
  for (const why of reasons) assert.match(sealedWords(why), /\. |not played|by itself/, why);
});

test("names in lists and circles", () => {
  assert.equal(list(["Ada"]), "Ada");
  assert.equal(list(["Ada", "Ben", "Cleo", "Dan", "Eve"]), "Ada, Ben, Cleo and 2 others");
  assert.equal(initials("Ada King Lovelace"), "AL");
  assert.equal(initials("𝒜da"), "𝒜");
});

test("PF-30, CLNT-11: while encryption starts anew the page says what stopped, that nothing leaves, and what comes next", () => {
  for (const step of ["engine", "signing-in", "certificate", "admission"]) {
    const now = state({ phase: { name: "restarting", why: "it did not answer", step } });
    assert.doesNotMatch(headline(now).short, /encrypted/i);
    assert.match(headline(now).long, /Nothing is sent or played .* The cause, .*: it did not answer\.$/);
    assert.match(connectionWords(now), /nothing went out unencrypted\. A new one is on its way in: .+\.$/);
  }
  const slow = state({ engine: "slow", people: [person("Ada", { me: true }), person("Ben")] });
  assert.match(connectionWords(slow), /does not answer\. Nothing is sent or played/);
  assert.equal(headline(slow).tone, "waiting");
  assert.doesNotMatch(headline(slow).short, /encrypted/i);
  assert.match(headline(slow).long, /Nothing is sent or played .* Only you and Ben hold the keys/);
  assert.equal(connectionWords(state({ engine: "up", relay: "up", delivery: "up" })), null);
});

test("while rejoining the page says that nothing is sent, and not that nothing is played: what opens is", () => {
  const now = state({ phase: { name: "rejoining", why: "The group refused a commit." } });
  for (const words of [headline(now).long, connectionWords(now)]) {
    assert.match(words, /Nothing is sent/);
    assert.doesNotMatch(words, /played/);
  }
});

test("PF-30: \"trying again\" is said only while it is tried", () => {
  const up = { engine: "up", delivery: "up" };
  assert.match(connectionWords(state({ ...up, relay: "lost" })), /Trying again/);
  assert.match(connectionWords(state({ ...up, relay: "slow" })), /not connected yet\. Still trying/);
  assert.match(connectionWords(state({ ...up, relay: "ended" })), /ended.*Reload the page/);
  assert.doesNotMatch(connectionWords(state({ ...up, relay: "ended" })), /trying/i);
  assert.equal(connectionWords(state({ ...up, relay: "connecting" })), null);
});

test("CLNT-23: what a screen reader hears at once are alarms; the rest is said when it changes, and comings are not said twice", () => {
  const [me, ben] = [person("Ada", { me: true }), person("Ben")];
  const now = (change) => spokenWords(state({ engine: "up", relay: "up", delivery: "up", notices: [], people: [me, ben], ...change }));
  assert.deepEqual(now({}), { alarm: "", status: "The meeting is encrypted end to end." });
  assert.deepEqual(now({ people: [me, ben, person("Cleo")] }), now({}));
  const changed = now({ people: [me, person("Ben", { trust: "changed" })] });
  assert.match(changed.alarm, /another key of Ben/);
  assert.doesNotMatch(changed.status, /encrypted end to end/i);
  assert.match(now({ relay: "lost" }).status, /is lost/);
  assert.match(now({ notices: [{ id: 1, tone: "alarm", text: "Look here.", at: 0 }, { id: 2, tone: "calm", text: "Ben joined.", at: 0 }] }).alarm, /^Look here\.$/);
});
