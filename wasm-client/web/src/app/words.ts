// What the page says about protection. Pure functions of what the worker verified: every sentence here must stay true
// word for word, because people decide by it what they say in a meeting.
import type { Profile } from "../sdk/link";
import {
  OWN_STREAM,
  type ConnectStep,
  type FailureCode,
  type MediaState,
  type MeetingState,
  type Person,
  type SealedReason,
  type Trust,
} from "../sdk/state";

export interface Headline {
  tone: "calm" | "waiting" | "alarm";
  short: string;
  long: string;
}

export function headline(state: MeetingState): Headline {
  switch (state.phase.name) {
    case "connecting":
      return { tone: "waiting", short: "Not connected yet", long: "Nothing is sent before the group's keys are here." };
    case "rejoining":
      return {
        tone: "waiting",
        short: "Rejoining the group",
        long: `Nothing is sent meanwhile. ${state.phase.why}`,
      };
    case "restarting":
      return {
        tone: "waiting",
        short: "Starting encryption anew",
        long: `The encryption engine stopped, and its keys are gone with it. Nothing is sent or played until a new one is in the group. ${engineWords(state.phase.why)}`,
      };
    case "call":
      return inCall(state);
    case "left":
    case "ended":
    case "failed":
      return { tone: "waiting", short: "Not in the meeting", long: "Nothing is sent or received." };
  }
}

const UNDER_CONTROL = ["microphone", "camera", "screen"] as const;

function inCall(state: MeetingState): Headline {
  const others = state.people.filter((person) => !person.me);
  const newKey = others.filter((person) => person.trust === "changed").map((person) => person.name);
  const holders =
    others.length === 0
      ? "Only this device holds the keys."
      : `Only ${list(["you", ...others.map((person) => person.name)])} hold the keys. The servers do not.`;
  const unsealed = UNDER_CONTROL.filter((stream) => state.local[stream] === "unsealed").map((stream) => OWN_STREAM[stream]);
  if (unsealed.length > 0) {
    const rest = Object.values(state.local).some((device) => device === "on" || device === "held");
    return {
      tone: "alarm",
      short: rest ? `Not sent: ${list(unsealed)}` : "Not sending: encryption not confirmed",
      long: `This browser did not confirm that it encrypts ${list(unsealed)}, so that is not sent. ${rest ? "What else you send is encrypted. " : ""}${holders}`,
    };
  }
  if (newKey.length > 0) {
    return {
      tone: "alarm",
      short: `Encrypted, but to another key of ${list(newKey)}`,
      long: `The key of ${list(newKey)} is another one than you compared: compare the code again. ${holders}`,
    };
  }
  if (state.engine === "slow") {
    return {
      tone: "waiting",
      short: "Encryption does not answer",
      long: `The encryption engine in this browser does not answer just now. Nothing is sent or played until it does, or until a new one has taken its place. ${holders}`,
    };
  }
  const short =
    others.length === 0
      ? "Encrypted. Only you are here"
      : `Encrypted end to end to ${count(others.length, "other", "others")}`;
  return { tone: "calm", short, long: holders };
}

export function trustWords(person: Person): { title: string; detail: string } {
  if (person.me) {
    const detail = person.guest
      ? "The others see this name marked as a guest's."
      : `The others see that ${person.org} vouches for your name.`;
    return { title: "Your certificate, for a key made in this browser just now", detail };
  }
  const titles: Record<Trust, string> = {
    checked: "Certificate checked, code not compared",
    compared: "Certificate checked, code compared by you",
    changed: "The key behind this name is another one than before",
    expired: "Certificate has run out",
  };
  const vouch = person.guest
    ? "Joined as a guest: nobody but the person vouches for the name."
    : `${person.org} vouches for the name.`;
  const details: Record<Trust, string> = {
    checked: `The certificate leads to the root in this meeting's link. ${vouch}`,
    compared: `You compared the meeting code while this key was theirs. ${vouch}`,
    changed: `You compared the code with somebody of this name who had another key. Reloading the page makes a new key, and so would a stranger: compare the code again. ${vouch}`,
    expired: `It was valid when it was checked. ${vouch}`,
  };
  return { title: titles[person.trust], detail: details[person.trust] };
}

export function mediaWords(what: "Sound" | "Picture" | "Screen" | "Screen sound", media: MediaState): string {
  switch (media.state) {
    case "nothing":
      return `${what}: nothing received yet`;
    case "live":
      return `${what}: opened under their own key, epoch ${media.epoch}`;
    case "quiet":
      return `${what}: none arriving now; the last opened under their own key, epoch ${media.epoch}`;
    case "sealed":
      return `${what}: ${sealedWords(media.why)}`;
  }
}

/** Why pictures do not come, if it is this device's line. */
export function noRoomWords(what: Person["noRoom"]): string | null {
  if (what.length === 0) return null;
  const names = { camera: "picture", screen: "screen" } as const;
  const all = list(what.map((stream) => names[stream]));
  return `your connection has no room for the ${all} now. Sound goes first; it comes back by itself.`;
}

/** Why frames of somebody do not open, and what happens next (PF-30). */
export function sealedWords(why: SealedReason): string {
  switch (why) {
    case "early":
    case "early-buffer-full":
    case "early-too-long":
      return "sealed for an epoch whose keys are still on the way to you. It starts by itself when they arrive.";
    case "epoch-over":
      return "still sealed for an epoch that is over, so it is not played. It returns when their device has switched.";
    case "not-authentic":
    case "wrong-kind":
    case "unknown-stream":
      return "changed on the way, or not made by them, so it is not played. If this goes on, ask them to rejoin.";
    case "not-a-member":
      return "from somebody who is not in the group, so it is not played.";
    case "own-frame":
    case "replayed":
    case "too-old":
      return "only repeats of what was played already, so it is not played again. It returns with the next new frame.";
    case "no-answer":
      return "lost because this browser's cryptography did not answer in time. It returns with the next new frame.";
    case "bad-shell":
    case "bad-header":
      return "not in the form that the meeting's encryption has, so it is not played. If this goes on, ask them to rejoin.";
  }
}

/** What became of a line of one's own that not everybody has for certain. */
export function unsentWords(sent: "waiting" | "unsure" | "no"): string {
  switch (sent) {
    case "waiting":
      return "Not sent yet. It goes out by itself when the key server answers.";
    case "unsure":
      return "The connection broke just then: it may not have arrived.";
    case "no":
      return "Not sent. Write it again.";
  }
}

/** What the encryption engine died of. What browsers say of it is not always a sentence. */
export function engineWords(why: string): string {
  const text = why.trim();
  return `The cause, as far as this page knows: ${/[.!?]$/.test(text) ? text : `${text}.`}`;
}

/** The one line above the controls that says what does not work now and what happens next (PF-30), or null. */
export function connectionWords(state: MeetingState): string | null {
  const { phase } = state;
  if (phase.name === "restarting") {
    return `The encryption engine stopped; nothing went out unencrypted. A new one is on its way in: ${STARTING[phase.step]}.`;
  }
  if (phase.name === "rejoining") return "Coming back into the group. Nothing is sent until that is done.";
  if (state.engine === "slow") {
    return "The encryption engine does not answer. Nothing is sent or played meanwhile; if it stays so, a new one is started.";
  }
  if (state.relay === "lost") return "The connection that carries sound and picture is lost. Trying again.";
  if (state.relay === "slow") {
    return "Sound and picture are not connected yet. Still trying; the network here may let no calls through.";
  }
  if (state.relay === "ended") {
    return "The relay ended the connection for sound and picture: this device is connected a second time, or was let go. Reload the page to connect again.";
  }
  if (state.delivery === "lost") {
    return "The key server does not answer. The call goes on under this epoch's keys; trying again.";
  }
  return null;
}

/** CLNT-23: what a screen reader says when it changes: alarms at once, the rest when there is a pause. */
export function spokenWords(state: MeetingState): { alarm: string; status: string } {
  const { tone, short } = headline(state);
  const alarms = state.notices.filter((notice) => notice.tone === "alarm").map(({ text }) => text);
  return {
    alarm: [...(tone === "alarm" ? [`${short}.`] : []), ...alarms].join(" "),
    // Not how many there are, which changes with each who comes and is told as a notice.
    status: connectionWords(state) ?? (tone === "calm" ? "The meeting is encrypted end to end." : tone === "waiting" ? `${short}.` : ""),
  };
}

const STARTING: Record<ConnectStep, string> = {
  engine: "it is being started",
  "signing-in": "it connects to the key server",
  certificate: "it gets a certificate for a new key",
  admission: "a member has to let its key into the group",
};

export function stepWords(step: ConnectStep): string {
  const words: Record<ConnectStep, string> = {
    engine: "Starting the encryption engine in this browser",
    "signing-in": "Signing in to the meeting",
    certificate: "Getting a certificate for a new key made just now, here",
    admission: "Waiting for a member to let this key into the group",
  };
  return words[step];
}

export function failureWords(code: FailureCode, detail: string): { title: string; detail: string; retry: boolean } {
  switch (code) {
    case "unsupported-browser":
      return {
        title: "This browser cannot encrypt calls",
        detail: `${detail} Conclave sends nothing unencrypted, so it cannot be used here. A current Chrome, Edge, Firefox or Safari can.`,
        retry: false,
      };
    case "no-webcrypto":
      return {
        title: "This browser cannot take part in a FIPS meeting",
        detail:
          "Sound and picture of this meeting go through the browser's own cryptography (WebCrypto) only, and it is not there or does not work. Nothing else takes its place, so nothing was sent. A current browser has it where the page is served over https.",
        retry: false,
      };
    case "room-not-found":
      return {
        title: "There is no such meeting",
        detail: "The link names a room that this server does not know. Ask for the link again.",
        retry: false,
      };
    case "server-unreachable":
      return {
        title: "The server does not answer",
        detail: "Your link is fine as far as can be told. Check your connection, then try again.",
        retry: true,
      };
    case "wrong-root":
      return {
        title: "This is not the organisation your link names",
        detail:
          "The server shows another root certificate than the one pinned in the link. Somebody may be in between, or the link is for another server. You were let into nothing, and no sound and no picture left this device.",
        retry: false,
      };
    case "refused":
      return { title: "You could not be let in", detail, retry: true };
    case "worker-died":
      return {
        title: "The encryption engine stopped",
        detail: `It was started anew and stopped again, several times within a minute. Media stopped with it; nothing went out unencrypted. ${engineWords(detail)}`,
        retry: true,
      };
    case "no-profile":
      return {
        title: "This app does not have the meeting's algorithms",
        detail:
          "The link names the experimental profile pq, which this build of the app leaves out. Nothing else takes its place. Ask for a link to a meeting of another profile.",
        retry: false,
      };
    case "name-invalid":
      return {
        title: "That name cannot be used",
        detail: "A name has 1 to 64 characters and no control characters.",
        retry: true,
      };
    case "protocol":
      return { title: "The server and this page do not understand each other", detail, retry: true };
  }
}

export function count(n: number, one: string, many: string): string {
  return n === 1 ? `1 ${one}` : `${n} ${many}`;
}

/** How many are named before the rest is only counted. */
const NAMED = 4;

/** "Ada", "Ada and Ben", "Ada, Ben and Cleo", and of many "Ada, Ben, Cleo and 3 others". */
export function list(names: readonly string[]): string {
  const shown = names.length <= NAMED ? names : [...names.slice(0, NAMED - 1), `${names.length - NAMED + 1} others`];
  const last = shown.at(-1);
  if (last === undefined) return "nobody";
  return shown.length === 1 ? last : `${shown.slice(0, -1).join(", ")} and ${last}`;
}

export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : [words[0]];
  return letters
    .map((word) => Array.from(word ?? "")[0] ?? "")
    .join("")
    .toUpperCase();
}

/** A colour angle of somebody's own, from their key: it changes when the key does. */
export function hue(fingerprint: string): number {
  let sum = 0;
  for (const character of fingerprint) sum = (sum * 31 + character.charCodeAt(0)) % 360;
  return sum;
}

/** The algorithms of a room's group. */
export function profileWords(profile: Profile): string {
  switch (profile) {
    case "standard":
      return "X25519 and Ed25519";
    case "fips":
      return "P-256 and ECDSA";
    case "pq":
      return "X25519 with ML-KEM-768 (X-Wing, a draft: experimental) and Ed25519";
  }
}
