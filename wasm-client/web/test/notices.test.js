import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { NoticeBoard } = await load("sdk/notices.ts");
const texts = (board, now) => board.current(now).map(({ text }) => text);

test("CLNT-23: arrivals push no warning and no alarm off the screen", () => {
  const board = new NoticeBoard();
  board.add("alarm", "alarm", 0);
  board.add("warning", "warning", 1);
  for (let n = 1; n <= 8; n += 1) board.add("calm", `${n} joined`, 2);
  assert.deepEqual(texts(board, 3), ["alarm", "warning", "7 joined", "8 joined"]);
  for (let n = 1; n <= 8; n += 1) board.add("warning", `warning ${n}`, 4);
  assert.deepEqual(texts(board, 5), ["alarm", "warning 6", "warning 7", "warning 8"]);
});

test("each notice goes when its time is over, and the list is the same as long as nothing changed", () => {
  const board = new NoticeBoard();
  board.add("calm", "joined", 0);
  board.add("warning", "warning", 0);
  assert.deepEqual(texts(board, 5_000), ["joined", "warning"]);
  assert.equal(board.current(5_000), board.current(5_500));
  assert.deepEqual(texts(board, 6_500), ["warning"]);
  assert.deepEqual(texts(board, 20_500), []);
});
