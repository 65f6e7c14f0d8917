import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { directions, hardenAnswer, hardenOffer } = await load("sdk/media/sdp.ts");

const AUDIO = [
  "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9",
  "a=mid:0",
  "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
  "a=extmap:2 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
  "a=extmap:3 urn:ietf:params:rtp-hdrext:csrc-audio-level",
  "a=rtpmap:111 opus/48000/2",
  "a=fmtp:111 minptime=10;useinbandfec=1",
  "a=rtpmap:63 red/48000/2",
  "a=fmtp:63 111/111",
  "a=rtpmap:9 G722/8000",
];
const VIDEO = [
  "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
  "a=mid:1",
  "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
  "a=rtpmap:96 VP8/90000",
  "a=rtpmap:97 rtx/90000",
  "a=fmtp:97 apt=96",
];
const text = (...sections) => `${["v=0", "s=-", ...sections.flat()].join("\r\n")}\r\n`;

test("CLNT-10: an offer has no audio levels and no RED, and everything else is as it was", () => {
  const offer = hardenOffer(text(AUDIO, VIDEO));
  const audio = offer.slice(offer.indexOf("m=audio"), offer.indexOf("m=video"));
  assert.doesNotMatch(audio, /audio-level|red\/48000|fmtp:63/);
  assert.match(audio, /^m=audio 9 UDP\/TLS\/RTP\/SAVPF 111 9\r\n/);
  assert.match(audio, /transport-wide-cc/);
  assert.match(audio, /G722/);
  assert.equal(offer.slice(offer.indexOf("m=video")), text(VIDEO).slice(text().length));
});

test("CLNT-10: an answer that brings levels or RED back is read without them, wherever it has them", () => {
  const session = ["a=extmap:5/sendonly  urn:ietf:params:rtp-hdrext:ssrc-audio-level vad=on", "a=extmap:6 urn:ietf:params:rtp-hdrext:sdes:mid"];
  const encrypted = "a=extmap:4 urn:ietf:params:rtp-hdrext:encrypt urn:ietf:params:rtp-hdrext:ssrc-audio-level";
  const answer = hardenAnswer(text(session, [...AUDIO, encrypted], VIDEO));
  const [before, audio] = answer.split(/^(?=m=)/m);
  assert.doesNotMatch(before, /audio-level/);
  assert.match(before, /sdes:mid/);
  assert.doesNotMatch(audio, /audio-level|red\/48000|fmtp:63/);
  assert.match(audio, /^m=audio 9 UDP\/TLS\/RTP\/SAVPF 111 9\r\n/);
  assert.match(audio, /transport-wide-cc/);
  assert.ok(answer.endsWith(text(VIDEO).slice(text().length)), "other sections are as they were");
});

test("CLNT-10: Opus is told constant bit rate and no DTX, beside what was told before", () => {
  for (const harden of [hardenOffer, hardenAnswer]) {
    const fmtp = /a=fmtp:111 (.*)\r\n/.exec(harden(text(AUDIO)))?.[1].split(";");
    for (const part of ["minptime=10", "cbr=1", "usedtx=0", "stereo=0", "useinbandfec=1"])
      assert.ok(fmtp?.includes(part), part);
  }
});

test("RELY-15: an offer asks for lost sound again, once, and a Firefox's does not", () => {
  const nacks = (sdp) => sdp.match(/a=rtcp-fb:111 nack\r\n/g)?.length ?? 0;
  const offer = hardenOffer(text(AUDIO, VIDEO));
  assert.match(offer, /a=rtpmap:111 opus\/48000\/2\r\na=rtcp-fb:111 nack\r\n/);
  assert.equal(nacks(hardenOffer(offer)), 1);
  const firefox = `v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 1 0 IN IP4 0.0.0.0\r\n${text(AUDIO, VIDEO)}`;
  assert.equal(nacks(hardenOffer(firefox)), 0);
  assert.equal(nacks(hardenAnswer(text(AUDIO))), 0);
  assert.doesNotMatch(hardenOffer(text([AUDIO[0], "a=mid:0", "a=rtpmap:9 G722/8000"])), /nack/);
});

test("CLNT-10: an answer without parameters gets them right after the codec", () => {
  const answer = hardenAnswer(
    text(["m=audio 9 UDP/TLS/RTP/SAVPF 109", "a=rtpmap:109 opus/48000/2", "a=rtcp-fb:109 nack"]),
  );
  assert.match(answer, /a=rtpmap:109 opus\/48000\/2\r\na=fmtp:109 [^\r]*cbr=1[^\r]*\r\na=rtcp-fb:109 nack\r\n$/);
});

test("hardening twice changes nothing more, and line ends stay", () => {
  const once = hardenOffer(text(AUDIO, VIDEO));
  assert.equal(hardenOffer(once), once);
  assert.ok(once.endsWith("\r\n") && !/[^\r]\n/.test(once));
});

test("the direction of each m-line is read from the description itself", () => {
  const sdp = text(
    ["m=audio 9 X 1", "a=mid:0", "a=sendonly"],
    ["m=video 9 X 1", "a=inactive", "a=mid:x1"],
    ["m=video 9 X 1", "a=mid:2"],
  );
  assert.deepEqual(
    [...directions(sdp)],
    [
      ["0", "sendonly"],
      ["x1", "inactive"],
      ["2", "sendrecv"],
    ],
  );
});
