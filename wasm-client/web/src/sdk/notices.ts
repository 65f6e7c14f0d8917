// What the user should hear about once, and for how long it stays on screen.
import type { GroupView } from "./messages";
import type { Notice } from "./state";

const CALM_MS = 6_000;
const WARNING_MS = 20_000;
const SHOWN = 4;

export class NoticeBoard {
  #notices: readonly Notice[] = [];
  #count = 0;

  add(tone: Notice["tone"], text: string, now: number): void {
    if (this.current(now).some((notice) => notice.text === text)) return;
    this.#notices = [...this.#notices, { id: ++this.#count, tone, text, at: now }];
  }

  /** Those still to be shown; the same array as long as they are the same. */
  current(now: number): readonly Notice[] {
    const young = this.#notices.filter((notice) => now - notice.at < (notice.tone === "calm" ? CALM_MS : WARNING_MS));
    const fresh = fitting(young);
    if (fresh.length !== this.#notices.length) this.#notices = fresh;
    return this.#notices;
  }

  /** Who came and who left between two rosters of the same group. */
  comings(former: GroupView | null, group: GroupView): string[] {
    if (!former) return [];
    // One's own key is another one after a rejoining, which is neither a coming nor a going.
    const others = ({ roster, me }: GroupView): [string, string][] =>
      roster.filter((member) => member.leaf !== me).map((member) => [member.fingerprint, member.name]);
    const before = new Map(others(former));
    const after = new Map(others(group));
    const came = [...after]
      .filter(([key]) => !before.has(key))
      .map(([, name]) => `${name} joined, with a checked certificate.`);
    const left = [...before]
      .filter(([key]) => !after.has(key))
      .map(([, name]) => `${name} is out: nothing sent from epoch ${group.epoch} on opens there.`);
    return [...came, ...left];
  }
}

/** CLNT-23: where not all have room, comings and goings give way first, then the older warnings, and alarms last. */
function fitting(notices: readonly Notice[]): readonly Notice[] {
  const weight = { alarm: 0, warning: 1, calm: 2 };
  const kept = new Set(
    [...notices].sort((a, b) => weight[a.tone] - weight[b.tone] || b.id - a.id).slice(0, SHOWN),
  );
  return notices.filter((notice) => kept.has(notice));
}
