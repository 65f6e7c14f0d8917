// A whole meeting without a mouse: everything can be reached by Tab, in the order in which it stands, and is seen to have the focus.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { eventually, KINDS, launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { Person } from "./lib/person.js";

/** @type {Conclave} */
let conclave;
before(async () => {
  conclave = await Conclave.start({ tap: false });
});
after(() => conclave?.end());

/** What has the focus, and whether that can be seen. @param {Person} person */
function focused(person) {
  return person.page.evaluate(() => {
    const element = /** @type {HTMLElement} */ (document.activeElement);
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
    return {
      id: element.dataset.testid ?? element.tagName.toLowerCase(),
      seen: (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none",
    };
  });
}

/**
 * Presses Tab, or Shift and Tab, until this has the focus, and gives what had it on the way. Never over the end of the page: from
 * there the focus goes to the browser's own buttons, which a headless one does not have.
 * @param {Person} person
 * @param {string} id
 */
async function tabTo(person, id, { back = false } = {}) {
  const way = [];
  for (let presses = 0; presses < 40; presses += 1) {
    if (back) await person.page.keyboard.down("Shift");
    await person.page.keyboard.press("Tab");
    if (back) await person.page.keyboard.up("Shift");
    const { id: now, seen } = await focused(person);
    if (now !== "body") assert.ok(seen, `${now} has the focus and does not show it`);
    way.push(now);
    if (now === id) return way;
  }
  throw new Error(`Tab never came to ${id}, only to ${[...new Set(way)].join(", ")}`);
}

for (const kind of KINDS) {
  describe(`by keyboard alone, in ${kind}`, () => {
    /** @type {import("puppeteer-core").Browser} */
    let browser;
    /** @type {Person} */
    let ada;
    before(async () => {
      browser = await launch(kind);
      ada = await Person.open(browser, "Ada");
    });
    after(() => browser?.close());

    test("the name has the focus, and Enter starts the meeting", async () => {
      await ada.page.goto(conclave.url);
      await ada.find("name");
      assert.equal((await focused(ada)).id, "name");
      await ada.page.keyboard.type("Ada");
      await ada.page.keyboard.press("Enter");
      await ada.inCall();
    });

    test("Tab goes through one's devices, the panels and the way out, in that order", async () => {
      const way = await tabTo(ada, "leave");
      const controls = ["microphone", "camera", "screen", "panel-security", "panel-chat", "leave"];
      assert.deepEqual(way.filter((id) => controls.includes(id)), controls);
    });

    test("Space switches what has the focus", async () => {
      await tabTo(ada, "camera", { back: true });
      await eventually("the camera", async () => (await ada.attribute("camera", "data-state")) === "on");
      await ada.page.keyboard.press(" ");
      await eventually("no camera", async () => (await ada.attribute("camera", "data-state")) === "off");
      await ada.page.keyboard.press(" ");
      await eventually("the camera again", async () => (await ada.attribute("camera", "data-state")) === "on");
      assert.equal((await focused(ada)).id, "camera");
    });

    test("the chat takes the focus when it opens, sends by Enter, closes by Escape and gives the focus back", async () => {
      await tabTo(ada, "panel-chat");
      await ada.page.keyboard.press("Enter");
      await eventually("the focus in the text", async () => (await focused(ada)).id === "chat-text");
      await ada.page.keyboard.type("By keyboard.");
      await ada.page.keyboard.press("Enter");
      await eventually("the line", async () => (await ada.page.$$('[data-testid="chat-line"]')).length === 1);
      await ada.page.keyboard.press("Escape");
      await eventually("no panel", async () => !(await ada.page.$('[data-testid="chat"]')));
      assert.equal((await focused(ada)).id, "panel-chat");
    });

    test("Enter leaves", async () => {
      await tabTo(ada, "leave");
      await ada.page.keyboard.press("Enter");
      await ada.find("left");
      assert.deepEqual(ada.errors, []);
    });
  });
}
