// What has to be said in SDP because browsers have no other way to say it. Pure functions on text; only lines that are
// named here change.

/** CLNT-10: speech leaks through packet sizes and levels: constant bit rate, no gaps in silence, one channel. */
const OPUS = { cbr: "1", usedtx: "0", stereo: "0", "sprop-stereo": "0", useinbandfec: "1", maxaveragebitrate: "32000" };

/** Header extensions that tell the relay how loud somebody speaks. */
const TELLTALE = ["urn:ietf:params:rtp-hdrext:ssrc-audio-level", "urn:ietf:params:rtp-hdrext:csrc-audio-level"];

/** Firefox's descriptions name their maker. It has no NACK for sound, in either direction. */
const FIREFOX = /^o=mozilla/m;

/**
 * Our offer: no audio levels, no RED (two frames in one packet, the older one outside of any SFrame), Opus constant. Lost sound may be asked
 * for again where the browser can do that: it does as soon as an answer says so, but offers it by itself nowhere.
 */
export function hardenOffer(sdp: string): string {
  const asksAgain = !FIREFOX.test(sdp);
  return mapSections(harden(sdp), (section) =>
    asksAgain && section.startsWith("m=audio") ? withNack(section) : section,
  );
}

/**
 * The relay's answer, as our encoder shall read it: browsers take `cbr` and `usedtx` from the remote description, and Firefox all
 * extensions that are in it, for its own description still has those that were cut out of the copy that the relay got. So what
 * the relay was not offered is cut out of what it answers.
 */
export function hardenAnswer(sdp: string): string {
  return harden(sdp);
}

function harden(sdp: string): string {
  return mapSections(sdp, (section) => {
    if (section.startsWith("m=audio")) return constantOpus(withoutRed(withoutLevels(section)));
    // What stands before the first m-line holds for all of them.
    return section.startsWith("m=") ? section : withoutLevels(section);
  });
}

/** The `sess-id` of a description: one for each connection, as its maker sees it (RFC 8866 section 5.2). */
export function sessionOf(sdp: string): string | null {
  return /^o=\S+ (\S+) /m.exec(sdp)?.[1] ?? null;
}

/** What each m-line of a description says of its direction, by mid. */
export function directions(sdp: string): Map<string, string> {
  const sections = sdp.split(/^(?=m=)/m).slice(1);
  return new Map(
    sections.map((section) => [
      /^a=mid:(\S+)/m.exec(section)?.[1] ?? "",
      /^a=(sendonly|recvonly|sendrecv|inactive)\s*$/m.exec(section)?.[1] ?? "sendrecv",
    ]),
  );
}

function mapSections(sdp: string, change: (section: string) => string): string {
  return sdp
    .split(/^(?=m=)/m)
    .map(change)
    .join("");
}

function withoutLevels(section: string): string {
  return lines(section)
    .filter((line) => !(/^a=extmap:/i.test(line) && TELLTALE.some((uri) => line.toLowerCase().split(/\s+/).includes(uri))))
    .join("\r\n");
}

function withoutRed(section: string): string {
  const red = new Set([...section.matchAll(/^a=rtpmap:(\d+) red\/48000/gim)].map((match) => match[1]));
  if (red.size === 0) return section;
  return lines(section)
    .filter((line) => !red.has(/^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) /.exec(line)?.[1]))
    .map((line) =>
      line.startsWith("m=audio")
        ? line
            .split(" ")
            .filter((word, index) => index < 3 || !red.has(word))
            .join(" ")
        : line,
    )
    .join("\r\n");
}

function opusOf(section: string): string | undefined {
  return /^a=rtpmap:(\d+) opus\/48000/im.exec(section)?.[1];
}

function withNack(section: string): string {
  const payload = opusOf(section);
  const all = lines(section);
  const nack = `a=rtcp-fb:${payload} nack`;
  if (payload === undefined || all.includes(nack)) return section;
  all.splice(all.findIndex((line) => line.startsWith(`a=rtpmap:${payload} `)) + 1, 0, nack);
  return all.join("\r\n");
}

function constantOpus(section: string): string {
  const payload = opusOf(section);
  if (payload === undefined) return section;
  const fmtp = `a=fmtp:${payload} `;
  const all = lines(section);
  const at = all.findIndex((line) => line.startsWith(fmtp));
  const told = at < 0 ? "" : (all[at] ?? "").slice(fmtp.length);
  const parameters = new Map(
    told
      .split(";")
      .map((pair) => pair.trim())
      .filter((pair) => pair !== "")
      .map((pair): [string, string] => [pair.split("=")[0] ?? pair, pair.split("=").slice(1).join("=")]),
  );
  for (const [name, value] of Object.entries(OPUS)) parameters.set(name, value);
  const line = fmtp + [...parameters].map(([name, value]) => `${name}=${value}`).join(";");
  if (at >= 0) all[at] = line;
  else all.splice(all.findIndex((existing) => existing.startsWith(`a=rtpmap:${payload} `)) + 1, 0, line);
  return all.join("\r\n");
}

function lines(section: string): string[] {
  return section.split(/\r?\n/);
}
