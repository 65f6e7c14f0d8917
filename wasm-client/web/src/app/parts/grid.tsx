// Lays out one tile for each leaf of the MLS tree, and one for each shared screen before them.
import { useEffect, useState } from "preact/hooks";
import type { JSX } from "preact";
import type { Meeting } from "../../sdk/meeting";
import type { MeetingState, Person } from "../../sdk/state";
import { isOn } from "./controls";
import { Tile } from "./tile";
import { Audio, playAll } from "./video";

export function Grid({ meeting, state }: { meeting: Meeting; state: MeetingState }): JSX.Element {
  const [blocked, setBlocked] = useState(false);
  const narrow = useNarrow();
  const sharing = state.people.filter((person) =>
    person.me
      ? isOn(state.local.screen)
      : person.media.screen.state === "live" && meeting.track(person.leaf, "screen") !== null,
  );
  const others = state.people.filter((person) => !person.me);
  const large = sharing.length > 0 || others.some((person) => person.pinned);
  // Pinned first; the others keep their places.
  const tiles = [...state.people].sort((a, b) => Number(b.pinned) - Number(a.pinned));
  return (
    <>
      <ul
        class="grid"
        data-testid="tiles"
        data-count={state.people.length}
        data-sharing={large}
        data-columns={columns(state.people.length, narrow, large)}
      >
        {sharing.map((person) => (
          <Tile
            key={`screen-${person.fingerprint}`}
            kind="screen"
            person={person}
            picture={person.me ? meeting.ownTrack("screen") : meeting.track(person.leaf, "screen")}
            received={person.me ? null : person.media.screen}
            onLook={person.me ? null : (height) => meeting.look(person.leaf, "screen", height)}
            onPin={null}
            sound={null}
            muted={false}
          />
        ))}
        {tiles.map((person) =>
          person.me ? (
            <OwnTile key="me" meeting={meeting} state={state} person={person} />
          ) : (
            <TheirTile key={person.fingerprint} meeting={meeting} person={person} />
          ),
        )}
      </ul>
      {others.map((person) =>
        (["microphone", "screen-audio"] as const).map((stream) => {
          const track = person.media[stream].state === "nothing" ? null : meeting.track(person.leaf, stream);
          return track && <Audio key={`${person.fingerprint}-${stream}`} track={track} onBlocked={() => setBlocked(true)} />;
        }),
      )}
      {blocked && (
        <button
          type="button"
          class="button button-strong unblock"
          data-testid="hear"
          onClick={() => void playAll(document.querySelectorAll("audio")).then(setBlocked)}
        >
          Hear the others
        </button>
      )}
    </>
  );
}

function OwnTile({ meeting, state, person }: { meeting: Meeting; state: MeetingState; person: Person }): JSX.Element {
  return (
    <Tile
      kind="person"
      person={person}
      picture={isOn(state.local.camera) ? meeting.ownTrack("camera") : null}
      received={null}
      onLook={null}
      onPin={null}
      sound={null}
      muted={!isOn(state.local.microphone)}
    />
  );
}

function TheirTile({ meeting, person }: { meeting: Meeting; person: Person }): JSX.Element {
  return (
    <Tile
      kind="person"
      person={person}
      picture={meeting.track(person.leaf, "camera")}
      received={person.media.camera}
      onLook={(height) => meeting.look(person.leaf, "camera", height)}
      onPin={() => meeting.pin(person.pinned ? null : person.leaf)}
      sound={person.media.microphone}
      muted={false}
    />
  );
}

/** As square a grid as the window's shape allows; beside a shared screen, one row of small tiles. */
function columns(count: number, narrow: boolean, sharing: boolean): number {
  if (sharing) return narrow ? 3 : count <= 4 ? 4 : 6;
  if (narrow) return count <= 3 ? 1 : count <= 10 ? 2 : 3;
  return count <= 1 ? 1 : count <= 4 ? 2 : count <= 9 ? 3 : 4;
}

function useNarrow(): boolean {
  const [query] = useState(() => matchMedia("(max-width: 44rem)"));
  const [narrow, setNarrow] = useState(query.matches);
  useEffect(() => {
    const listen = (): void => setNarrow(query.matches);
    query.addEventListener("change", listen);
    return () => query.removeEventListener("change", listen);
  }, [query]);
  return narrow;
}
