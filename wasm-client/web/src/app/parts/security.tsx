// Who can hear and see this: the roster of the MLS tree, what was verified of each, the epoch and the meeting code.
import type { JSX } from "preact";
import type { Shown } from "../../sdk/comparing";
import type { LocalDevices } from "../../sdk/media/devices";
import type { LocalMedia, MeetingState, Person } from "../../sdk/state";
import { headline, hue, initials, mediaWords, profileWords, trustWords } from "../words";
import { DevicePicker } from "./device-picker";

export function Security({
  state,
  devices,
  onCompared,
}: {
  state: MeetingState;
  devices: LocalDevices;
  onCompared: (shown: Shown) => void;
}): JSX.Element {
  const words = headline(state);
  return (
    <div class="panel-body" data-testid="security">
      <section aria-labelledby="security-now">
        <h3 id="security-now" class={`protection protection-${words.tone}`} data-testid="protection">
          {words.short}
        </h3>
        <p>{words.long}</p>
      </section>
      <section aria-labelledby="people-title">
        <h3 id="people-title">In the group</h3>
        <p class="hint">These and nobody else can open what you send. The list is the group's key tree itself.</p>
        <ul class="people" data-testid="roster">
          {state.people.map((person) => (
            <Entry key={person.leaf} person={person} local={state.local} />
          ))}
        </ul>
      </section>
      <Code state={state} onCompared={onCompared} />
      <section aria-labelledby="facts-title">
        <h3 id="facts-title">The keys in use</h3>
        <dl class="facts">
          <dt>Epoch</dt>
          <dd data-testid="epoch">{state.epoch ?? "none yet"}</dd>
          <dt>Group</dt>
          <dd>MLS (RFC 9420), {profileWords(state.profile)}</dd>
          <dt>Frames</dt>
          <dd>{state.cipher || "none yet"}</dd>
          <dt>Keys</dt>
          <dd>One for each person, epoch and stream</dd>
        </dl>
        <p class="hint">
          Each time somebody joins or leaves, and at least every five minutes, the group moves on to a new epoch with
          new keys.
        </p>
      </section>
      <section aria-labelledby="devices-title">
        <h3 id="devices-title">Your devices</h3>
        <DevicePicker devices={devices} />
      </section>
    </div>
  );
}

function Entry({ person, local }: { person: Person; local: LocalMedia }): JSX.Element {
  const trust = trustWords(person);
  return (
    <li
      class="entry"
      data-testid="member"
      data-leaf={person.leaf}
      data-name={person.name}
      data-trust={person.trust}
      style={{ "--hue": String(hue(person.fingerprint)) }}
    >
      <span class="entry-avatar" aria-hidden="true">
        {initials(person.name)}
      </span>
      <div class="entry-text">
        <p class="entry-name">
          {person.name}
          {person.me && <span class="badge">You</span>}
          {person.guest && <span class="badge">Guest</span>}
        </p>
        <p class={`entry-trust entry-trust-${person.trust}`}>{trust.title}</p>
        <p class="hint">{trust.detail}</p>
        {person.me ? <OwnMedia local={local} /> : <TheirMedia person={person} />}
      </div>
    </li>
  );
}

function TheirMedia({ person }: { person: Person }): JSX.Element {
  const { media } = person;
  return (
    <ul class="seen">
      <li data-state={media.microphone.state}>{mediaWords("Sound", media.microphone)}</li>
      <li data-state={media.camera.state}>{mediaWords("Picture", media.camera)}</li>
      {media.screen.state !== "nothing" && (
        <li data-state={media.screen.state}>{mediaWords("Screen", media.screen)}</li>
      )}
      {media["screen-audio"].state !== "nothing" && (
        <li data-state={media["screen-audio"].state}>{mediaWords("Screen sound", media["screen-audio"])}</li>
      )}
    </ul>
  );
}

function OwnMedia({ local }: { local: LocalMedia }): JSX.Element {
  const words = (what: string, device: LocalMedia["camera"]): string => {
    if (device === "on") return `${what}: leaves this device encrypted, as seen by its own check`;
    if (device === "unsealed") return `${what}: not sent, because this browser did not confirm that it encrypts`;
    if (device === "held" || device === "starting") return `${what}: held back until seen to leave encrypted`;
    return `${what}: off`;
  };
  return (
    <ul class="seen">
      <li data-state={local.microphone}>{words("Your sound", local.microphone)}</li>
      <li data-state={local.camera}>{words("Your picture", local.camera)}</li>
      {local.screen !== "off" && <li data-state={local.screen}>{words("Your screen", local.screen)}</li>}
    </ul>
  );
}

function Code({ state, onCompared }: { state: MeetingState; onCompared: (shown: Shown) => void }): JSX.Element {
  const others = state.people.filter((person) => !person.me);
  const open = others.some((person) => person.trust !== "compared");
  // The people and the code of a group that this device is not in at the moment say nothing.
  const comparable = state.phase.name === "call" && state.code.length > 0;
  const shown: Shown = { code: state.code, fingerprints: others.map(({ fingerprint }) => fingerprint) };
  return (
    <section aria-labelledby="code-title">
      <h3 id="code-title">Meeting code</h3>
      <p class="hint">
        Read it to each other, best over another channel. If everybody sees the same forty digits, everybody is in the
        same group with the same people, and no server has slipped anybody in. It changes with each epoch.
      </p>
      {state.code.length > 0 ? (
        <p class="code" data-testid="code" aria-label={`Meeting code, ${state.code.join(" ")}`}>
          {state.code.map((group, index) => (
            <span key={index}>{group}</span>
          ))}
        </p>
      ) : (
        <p class="hint">There is none before the group stands.</p>
      )}
      {comparable && open && (
        <button type="button" class="button" data-testid="compared" onClick={() => onCompared(shown)}>
          We compared it, and it is the same
        </button>
      )}
    </section>
  );
}
