import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { ChatBook } = await load("sdk/chat-book.ts");
const { unsentWords } = await load("app/words.ts");
const mine = (text, at) => ({ leaf: 0, name: "Ada", me: true, text, at });
const bens = (text, at) => ({ leaf: 1, name: "Ben", me: false, text, at });
const shown = (book, now) => book.lines(now).map(({ text, sent }) => `${text}: ${sent}`);

test("CLNT-24: a line that goes out at once is shown once, as sent", () => {
  const book = new ChatBook();
  book.write("hello", 0);
  assert.deepEqual(shown(book, 100), [], "no flicker");
  book.said(mine("hello", 20));
  assert.deepEqual(shown(book, 5_000), ["hello: yes"]);
});

test("CLNT-24: a line that waits for the connection is shown as such, behind what comes meanwhile, and then in its place", () => {
  const book = new ChatBook();
  book.write("first", 0);
  book.write("second", 10);
  book.said(bens("from Ben", 500));
  assert.deepEqual(shown(book, 1_000), ["from Ben: yes", "first: waiting", "second: waiting"]);
  book.said(mine("first", 2_000));
  assert.deepEqual(shown(book, 2_000), ["from Ben: yes", "first: yes", "second: waiting"]);
  const ids = book.lines(2_000).map(({ id }) => id);
  assert.equal(new Set(ids).size, 3);
});

test("CLNT-24: what waited when the group or the engine was lost is called not sent, and nothing else is", () => {
  const book = new ChatBook();
  book.said(mine("long ago", 0));
  book.write("lost", 20_000);
  assert.equal(book.lose(), 1);
  assert.deepEqual(shown(book, 20_000), ["long ago: yes", "lost: no"]);
  assert.equal(book.lose(), 0);
  book.write("lost", 21_000);
  book.said(mine("lost", 21_010));
  assert.deepEqual(shown(book, 30_000), ["long ago: yes", "lost: no", "lost: yes"]);
});

test("CLNT-24: what was handed to a connection just before it was found dead is not called sent", () => {
  const book = new ChatBook();
  book.said(mine("before", 0));
  book.said(mine("just now", 20_000));
  book.said(bens("from Ben", 20_000));
  book.connectionLost(24_000);
  assert.deepEqual(shown(book, 24_000), ["before: yes", "just now: unsure", "from Ben: yes"]);
});

test("CLNT-24: no more waits than the engine keeps, and only the latest lines stay", () => {
  const book = new ChatBook();
  for (let n = 0; n < 64; n += 1) assert.equal(book.write(`${n}`, 0), true);
  assert.equal(book.write("one too many", 0), false);
  for (let n = 0; n < 600; n += 1) book.said(bens(`${n}`, 0));
  assert.equal(book.lines(0).length, 500);
});

test("CLNT-24: each says what becomes of it", () => {
  assert.match(unsentWords("waiting"), /Not sent yet.*by itself/);
  assert.match(unsentWords("unsure"), /may not have arrived/);
  assert.match(unsentWords("no"), /Not sent\. Write it again/);
});
