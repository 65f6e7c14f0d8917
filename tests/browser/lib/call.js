// A call of two, one in each browser: where many tests begin.
import { after, afterEach, before } from "node:test";
import { launch } from "./browser.js";
import { Conclave } from "./conclave.js";
import { agreed, Person } from "./person.js";

/** An installation and both browsers for the tests of one file; whoever came is gone after each test. @template {Conclave | import("./conclave.js").SplitConclave} T */
export class Calls {
  /** @type {T} */
  conclave;
  /** @type {import("puppeteer-core").Browser} */
  chromium;
  /** @type {import("puppeteer-core").Browser} */
  firefox;
  /** @type {Person[]} */
  #people = [];

  /** To be called once a file, outside of any test. @param {() => Promise<T>} start */
  constructor(start) {
    before(async () => {
      this.conclave = await start();
      [this.chromium, this.firefox] = await Promise.all([launch("chromium"), launch("firefox")]);
    });
    after(async () => {
      await Promise.all([this.chromium?.close(), this.firefox?.close()]);
      await this.conclave?.end();
    });
    afterEach(async () => {
      await Promise.all(this.#people.map((person) => person.close()));
      this.#people = [];
    });
  }

  /** Somebody joins, and is closed after the test. @param {import("puppeteer-core").Browser} browser @param {string} name @param {string} link */
  async joining(browser, name, link) {
    const person = await Person.joining(browser, name, link);
    this.#people.push(person);
    return person;
  }

  /** Ada in Chromium and Ben in Firefox, in one epoch. */
  async two() {
    const link = await this.conclave.makeRoom();
    const ada = await this.joining(this.chromium, "Ada", link);
    const ben = await this.joining(this.firefox, "Ben", link);
    return { link, ada, ben, ...(await agreed([ada, ben])) };
  }
}
