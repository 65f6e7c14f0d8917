// HEAL-11, CLNT-14: what this device's user found out about people by comparing the code (PF-15). Kept for each room in this browser.
import type { MemberView } from "./messages";
import { recall, remember } from "./remembered";
import type { Trust } from "./state";

interface Mark {
  name: string;
  fingerprint: string;
}

export function trustOf(member: MemberView, marks: readonly Mark[], others: readonly MemberView[], now: number): Trust {
  if (member.validUntil <= now) return "expired";
  if (marks.some((mark) => mark.fingerprint === member.fingerprint)) return "compared";
  // Two people may have one name. The key counts as changed only if nobody here still has the compared one.
  const namesake = marks.filter((mark) => mark.name === member.name);
  const present = new Set(others.map((other) => other.fingerprint));
  return namesake.length > 0 && !namesake.some((mark) => present.has(mark.fingerprint)) ? "changed" : "checked";
}

export class ComparedMarks {
  readonly #place: string;
  #marks: Mark[];

  constructor(room: string) {
    this.#place = `conclave.compared.${room}`;
    this.#marks = read(this.#place);
  }

  get all(): readonly Mark[] {
    return this.#marks;
  }

  /** The user compared the code while these keys were in the group. */
  mark(members: readonly MemberView[]): void {
    const names = new Set(members.map((member) => member.name));
    const kept = this.#marks.filter((mark) => !names.has(mark.name));
    this.#marks = [...kept, ...members.map(({ name, fingerprint }) => ({ name, fingerprint }))];
    remember(this.#place, JSON.stringify(this.#marks));
  }
}

function read(place: string): Mark[] {
  try {
    const value: unknown = JSON.parse(recall(place) ?? "[]");
    return Array.isArray(value) ? value.filter(isMark) : [];
  } catch {
    return [];
  }
}

function isMark(value: unknown): value is Mark {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof Reflect.get(value, "name") === "string" &&
    typeof Reflect.get(value, "fingerprint") === "string"
  );
}
