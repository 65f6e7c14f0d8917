// One person, or one shared screen. A member without media is a tile too: the tiles are the MLS tree (PF-06).
import type { JSX } from "preact";
import type { MediaState, Person } from "../../sdk/state";
import { Alert, MicOff, Pin } from "./icons";
import { useLook } from "./look";
import { hue, initials, noRoomWords, sealedWords } from "../words";
import { Video } from "./video";

export interface TileProps {
  person: Person;
  picture: MediaStreamTrack | null;
  /** What became of the frames for this tile; null for one's own. */
  received: MediaState | null;
  sound: MediaState | null;
  muted: boolean;
  kind: "person" | "screen";
  /** Told of the picture's height in pixels of the screen, 0 while it is out of sight, null when it goes. */
  onLook: ((height: number | null) => void) | null;
  onPin: (() => void) | null;
}

export function Tile({ person, picture, received, sound, muted, kind, onLook, onPin }: TileProps): JSX.Element {
  const place = useLook(onLook);
  const problem = sealed(received) ?? sealed(sound) ?? noRoomWords(kind === "person" ? person.noRoom : []);
  const shown = picture !== null && (received === null || received.state === "live");
  const name = person.me ? `${person.name} (you)` : person.name;
  const label = kind === "screen" ? `${person.me ? "Your" : `${person.name}'s`} screen` : name;
  return (
    <li
      ref={place}
      class={`tile tile-${kind}`}
      data-pinned={person.pinned && kind === "person"}
      data-speaking={person.speaking && kind === "person"}
      data-testid={kind === "screen" ? "screen-tile" : "tile"}
      data-leaf={person.leaf}
      data-me={person.me}
      data-name={person.name}
      data-picture={received?.state ?? (shown ? "own" : "off")}
      data-sound={sound?.state ?? "own"}
      data-trust={person.trust}
      data-no-room={person.noRoom.join(" ")}
      style={{ "--hue": String(hue(person.fingerprint)) }}
    >
      {shown && picture ? (
        <Video
          track={picture}
          label={`Picture: ${label}`}
          mirrored={person.me && kind === "person"}
          contain={kind === "screen"}
        />
      ) : (
        <span class="avatar" aria-hidden="true">
          {initials(person.name)}
        </span>
      )}
      {problem !== null && (
        <p class="tile-problem" role="status" title={`${person.name}: ${problem}`}>
          <Alert />
          <span>
            {person.name}: {problem}
          </span>
        </p>
      )}
      <p class="tile-name">
        {muted && (
          <span class="tile-muted" title="Microphone off">
            <MicOff />
            <span class="visually-hidden">Microphone off.</span>
          </span>
        )}
        <span class="tile-label">{label}</span>
        {person.guest && kind === "person" && <span class="badge badge-guest">Guest</span>}
        {person.trust === "changed" && <span class="badge badge-alarm">New key</span>}
      </p>
      {onPin && (
        <button
          type="button"
          class="tile-pin"
          data-testid="pin"
          aria-pressed={person.pinned}
          aria-label={`Show ${person.name} large`}
          title={person.pinned ? "Back into the row" : "Show large"}
          onClick={onPin}
        >
          <Pin />
        </button>
      )}
    </li>
  );
}

function sealed(media: MediaState | null): string | null {
  return media?.state === "sealed" ? sealedWords(media.why) : null;
}
