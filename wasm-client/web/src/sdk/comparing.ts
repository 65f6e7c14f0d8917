// CLNT-19: whom the user can have compared the code with: those who were in the group all the while. Pure: time comes in.
import type { GroupView, MemberView } from "./messages";

/** What stood on the screen when the user said that it is the same. */
export interface Shown {
  code: readonly string[];
  /** Of the others whom the code covers. */
  fingerprints: readonly string[];
}

export type Judged = { compared: MemberView[] } | { refused: string };

/** Whoever reads forty digits to somebody else takes longer. */
const READING_MS = 5_000;

export class Comparing {
  /** Since when each key of the others is in the group, as far as this device saw. */
  #since = new Map<string, number>();
  #began = 0;

  /** The group as it is now. */
  see(group: GroupView, now: number): void {
    if (this.#since.size === 0) this.#began = now;
    this.#since = new Map(
      others(group).map(({ fingerprint }) => [fingerprint, this.#since.get(fingerprint) ?? now]),
    );
  }

  /** Whom the user compared the code with, or in words why that cannot be said of anybody. */
  judge(shown: Shown, group: GroupView | null, now: number): Judged {
    const present = group ? others(group) : [];
    if (shown.code.length === 0 || present.length === 0) {
      return { refused: "Nobody was marked: there is no code to compare just now." };
    }
    const isNew = ({ fingerprint }: MemberView): boolean =>
      !shown.fingerprints.includes(fingerprint) || now - (this.#since.get(fingerprint) ?? now) < READING_MS;
    const newcomers = present.filter(isNew);
    // Who left since was compared like the others; who came was not.
    if (newcomers.length === 0) return { compared: present };
    if (now - this.#began < READING_MS) {
      return { refused: "Nobody was marked: the code has been on the screen for a moment only. Compare it first." };
    }
    const names = newcomers.map(({ name }) => name).join(", ");
    return {
      refused: `Nobody was marked: ${names} came in while you compared, and the code is another one since. Compare the new one.`,
    };
  }
}

function others(group: GroupView): MemberView[] {
  return group.roster.filter(({ leaf }) => leaf !== group.me);
}
