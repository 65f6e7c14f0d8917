// CLNT-7: the people on screen: the MLS tree's leaves, one for one and in its order (PF-06), with what was seen of each.
import type { GroupView } from "./messages";
import type { ReceptionBook } from "./reception";
import type { SpeakerBook } from "./speakers";
import { NO_MEDIA, type MediaState, type Person, type Stream } from "./state";
import { trustOf, type ComparedMarks } from "./trust";

/** What this device itself saw and heard, and whom its user put before the others. */
export interface Seen {
  book: ReceptionBook;
  speakers: SpeakerBook;
  pinned: number | null;
}

export function assemble(
  group: GroupView,
  { book, speakers, pinned }: Seen,
  marks: ComparedMarks,
  wallMs: number,
  tickMs: number,
  hasNoRoom: (person: string, stream: Stream) => boolean = () => false,
): Person[] {
  return group.roster.map((member) => {
    const me = member.leaf === group.me;
    const seen = (stream: Stream): MediaState => book.state(member.leaf, stream, tickMs);
    return {
      ...member,
      me,
      speaking: !me && speakers.isSpeaking(member.leaf, tickMs),
      pinned: member.leaf === pinned,
      trust: trustOf(member, me ? [] : marks.all, group.roster, wallMs),
      noRoom: me ? [] : (["camera", "screen"] as const).filter((stream) => hasNoRoom(member.person, stream)),
      media: me
        ? NO_MEDIA
        : {
            microphone: seen("microphone"),
            camera: seen("camera"),
            screen: seen("screen"),
            "screen-audio": seen("screen-audio"),
          },
    };
  });
}
