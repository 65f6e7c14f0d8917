//! The receiving side. The order is the same everywhere: form, window, tag, and only then state.

use rtc_dtls::crypto_provider as crypto;

use super::cipher::{Cipher, GCM_TAG, SHA1_TAG, cm_iv, gcm_rtcp_nonce, gcm_rtp_nonce, word};
use super::index::{Seen, estimate};
use super::{ENCRYPTED_FLAG, MasterKey, Profile, RTCP_HEADER, SRTCP_INDEX, SrtpError};
use crate::rtp;
use crate::rtp::ssrc::SsrcMap;

/// SSRCs one peer may use towards us, RTX included. See [`Opener::forget_but`].
const MAX_STREAMS: usize = 128;

pub(super) struct Opener {
    rtp: Cipher,
    rtcp: Cipher,
    streams: SsrcMap<Seen>,
    control: SsrcMap<Seen>,
}

impl Opener {
    pub(super) fn new(profile: Profile, master: &MasterKey, crypto: &dyn crypto::RTCCrypto) -> Result<Self, SrtpError> {
        Ok(Opener {
            rtp: Cipher::derive(profile, master, [0, 1, 2], crypto)?,
            rtcp: Cipher::derive(profile, master, [3, 4, 5], crypto)?,
            streams: SsrcMap::default(),
            control: SsrcMap::default(),
        })
    }

    /// Forgets streams that ended, when there are too many. Not before: one that goes on after a pause is known by its roll-over counter, and a
    /// recorded packet by its index.
    pub(super) fn forget_but(&mut self, lives: impl Fn(u32) -> bool) {
        let streams = &self.streams;
        self.control
            .retain(|ssrc, _| lives(*ssrc) || !streams.contains_key(ssrc));
        self.streams.retain(|ssrc, _| lives(*ssrc));
    }

    pub(super) fn rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let header = rtp::header_len(packet).ok_or(SrtpError::Malformed)?;
        let body_end = packet
            .len()
            .checked_sub(self.rtp.tag_len())
            .filter(|end| *end >= header);
        let body_end = body_end.ok_or(SrtpError::Malformed)?;
        let ssrc = word(&packet[8..12]);
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);

        let seen = self.streams.get(&ssrc);
        let one_too_many = seen.is_none() && self.streams.len() >= MAX_STREAMS;
        let index = estimate(seen, sequence).ok_or(SrtpError::Replayed)?;
        if seen.is_some_and(|seen| seen.contains(index)) {
            return Err(SrtpError::Replayed);
        }

        // RELY-11: up to here nothing changed, and nothing does before the tag is verified.
        let (content, tag) = packet.split_at_mut(body_end);
        match &mut self.rtp {
            Cipher::Gcm { aead, salt } => {
                let (aad, body) = content.split_at_mut(header);
                aead.open_in_place(&gcm_rtp_nonce(salt, ssrc, index), aad, body, tag)
                    .map_err(|_| SrtpError::Authentication)?;
            }
            Cipher::Cm { stream, mac, salt } => {
                let mut expected = [0; 20];
                let roc = ((index >> 16) as u32).to_be_bytes();
                mac.sign(&[content, &roc], &mut expected)
                    .map_err(|_| SrtpError::Authentication)?;
                if !crypto::constant_time_eq(&expected[..SHA1_TAG], tag) {
                    return Err(SrtpError::Authentication);
                }
                stream
                    .apply_keystream(&cm_iv(salt, ssrc, index), &mut content[header..])
                    .map_err(|_| SrtpError::Authentication)?;
            }
        }
        // Said of authentic packets only: something is done about it.
        if one_too_many {
            return Err(SrtpError::TooManyStreams);
        }
        self.streams.entry(ssrc).or_insert(Seen::first(index)).insert(index);
        Ok(body_end)
    }

    pub(super) fn rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let trailer = self.rtcp.tag_len() + SRTCP_INDEX;
        let body_end = packet.len().checked_sub(trailer).filter(|end| *end >= RTCP_HEADER);
        let body_end = body_end.ok_or(SrtpError::Malformed)?;
        let ssrc = word(&packet[4..8]);
        let index_at = match self.rtcp {
            Cipher::Gcm { .. } => packet.len() - SRTCP_INDEX,
            Cipher::Cm { .. } => body_end,
        };
        let mut index_word = [0; 4];
        index_word.copy_from_slice(&packet[index_at..index_at + 4]);
        let flagged = u32::from_be_bytes(index_word);
        if flagged & ENCRYPTED_FLAG == 0 {
            return Err(SrtpError::Authentication); // unencrypted SRTCP is never negotiated in WebRTC
        }
        let index = flagged & !ENCRYPTED_FLAG;
        let seen = self.control.get(&ssrc);
        let one_too_many = seen.is_none() && self.control.len() >= MAX_STREAMS;
        if seen.is_some_and(|seen| seen.contains(u64::from(index))) {
            return Err(SrtpError::Replayed);
        }
        match &mut self.rtcp {
            Cipher::Gcm { aead, salt } => {
                let mut aad = [0; 12];
                aad[..8].copy_from_slice(&packet[..8]);
                aad[8..].copy_from_slice(&index_word);
                let (content, rest) = packet.split_at_mut(body_end);
                aead.open_in_place(
                    &gcm_rtcp_nonce(salt, ssrc, index),
                    &aad,
                    &mut content[RTCP_HEADER..],
                    &rest[..GCM_TAG],
                )
                .map_err(|_| SrtpError::Authentication)?;
            }
            Cipher::Cm { stream, mac, salt } => {
                let (content, tag) = packet.split_at_mut(index_at + SRTCP_INDEX);
                let mut expected = [0; 20];
                mac.sign(&[content], &mut expected)
                    .map_err(|_| SrtpError::Authentication)?;
                if !crypto::constant_time_eq(&expected[..SHA1_TAG], tag) {
                    return Err(SrtpError::Authentication);
                }
                stream
                    .apply_keystream(
                        &cm_iv(salt, ssrc, u64::from(index)),
                        &mut content[RTCP_HEADER..body_end],
                    )
                    .map_err(|_| SrtpError::Authentication)?;
            }
        }
        if one_too_many {
            return Err(SrtpError::TooManyStreams);
        }
        self.control
            .entry(ssrc)
            .or_insert(Seen::first(u64::from(index)))
            .insert(u64::from(index));
        Ok(body_end)
    }
}
