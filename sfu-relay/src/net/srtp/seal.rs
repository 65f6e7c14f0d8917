//! The sending side.

use rtc_dtls::crypto_provider as crypto;

use super::cipher::{Cipher, GCM_TAG, SHA1_TAG, cm_iv, gcm_rtcp_nonce, gcm_rtp_nonce, word};
use super::index::{Seen, estimate};
use super::{ENCRYPTED_FLAG, MasterKey, Profile, RTCP_HEADER, SrtpError};
use crate::rtp;
use crate::rtp::ssrc::SsrcMap;

/// Packets of a stream that can be sealed once more: the newest, two thirds of a second of sound.
const REPEATABLE: usize = 32;

pub(super) struct Sealer {
    rtp: Cipher,
    rtcp: Cipher,
    streams: SsrcMap<Stream>,
    /// One counter for all SSRCs is allowed and simpler: what must not repeat is the pair of SSRC and index.
    control_index: u32,
}

struct Stream {
    seen: Seen,
    /// Of each of the newest packets its index and the beginning of its tag. Empty: nothing of it is repeated.
    tags: Vec<Option<(u64, u32)>>,
}

impl Stream {
    /// The beginning of the tag that the packet with this index had.
    fn tag(&self, index: u64) -> Option<u32> {
        let (known, tag) = (*self.tags.get(index as usize % REPEATABLE)?)?;
        (known == index).then_some(tag)
    }

    fn remember(&mut self, index: u64, tag: u32) {
        self.tags.resize(REPEATABLE, None);
        self.tags[index as usize % REPEATABLE] = Some((index, tag));
    }
}

impl Sealer {
    pub(super) fn new(profile: Profile, master: &MasterKey, crypto: &dyn crypto::RTCCrypto) -> Result<Self, SrtpError> {
        Ok(Sealer {
            rtp: Cipher::derive(profile, master, [0, 1, 2], crypto)?,
            rtcp: Cipher::derive(profile, master, [3, 4, 5], crypto)?,
            streams: SsrcMap::default(),
            control_index: 0,
        })
    }

    pub(super) fn has_sent(&self, ssrc: u32) -> bool {
        self.streams.contains_key(&ssrc)
    }

    /// Seals the packet from `start` to the end of `buffer`.
    ///
    /// `repeatable`: it may be sealed again soon, if exactly the same comes out. A tag is a function of all that it covers, so whether it does
    /// is seen by the tag.
    pub(super) fn rtp(&mut self, buffer: &mut Vec<u8>, start: usize, repeatable: bool) -> Result<(), SrtpError> {
        let packet = buffer.get_mut(start..).ok_or(SrtpError::Malformed)?;
        let header = rtp::header_len(packet).ok_or(SrtpError::Malformed)?;
        let ssrc = word(&packet[8..12]);
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let stream = self.streams.get_mut(&ssrc);
        let index = estimate(stream.as_ref().map(|stream| &stream.seen), sequence).ok_or(SrtpError::IndexReused)?;
        // RELY-11: no index is sealed twice, but where the very same comes out.
        let before = match &stream {
            Some(stream) if stream.seen.contains(index) => {
                let before = stream.tag(index).filter(|_| repeatable);
                Some(before.ok_or(SrtpError::IndexReused)?)
            }
            _ => None,
        };
        let body_end = buffer.len();
        let packet = buffer.get_mut(start..).ok_or(SrtpError::Malformed)?;
        match &mut self.rtp {
            Cipher::Gcm { aead, salt } => {
                let mut tag = [0; GCM_TAG];
                let (aad, body) = packet.split_at_mut(header);
                aead.seal_in_place(&gcm_rtp_nonce(salt, ssrc, index), aad, body, &mut tag)
                    .map_err(|_| SrtpError::Keys)?;
                buffer.extend_from_slice(&tag);
            }
            Cipher::Cm { stream, mac, salt } => {
                stream
                    .apply_keystream(&cm_iv(salt, ssrc, index), &mut packet[header..])
                    .map_err(|_| SrtpError::Keys)?;
                let mut tag = [0; 20];
                let roc = ((index >> 16) as u32).to_be_bytes();
                mac.sign(&[packet, &roc], &mut tag).map_err(|_| SrtpError::Keys)?;
                buffer.extend_from_slice(&tag[..SHA1_TAG]);
            }
        }
        let tag = word(&buffer[body_end..body_end + 4]);
        match (before, stream) {
            (Some(before), _) if before == tag => return Ok(()),
            (Some(_), _) => {
                // It must not be seen by anybody.
                buffer.truncate(start);
                return Err(SrtpError::IndexReused);
            }
            (None, Some(stream)) => stream.seen.insert(index),
            (None, None) => {
                let seen = Seen::first(index);
                self.streams.insert(ssrc, Stream { seen, tags: Vec::new() });
            }
        }
        if repeatable && let Some(stream) = self.streams.get_mut(&ssrc) {
            stream.remember(index, tag);
        }
        Ok(())
    }

    pub(super) fn rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        if packet.len() < RTCP_HEADER {
            return Err(SrtpError::Malformed);
        }
        let index = self.control_index + 1;
        if index >= ENCRYPTED_FLAG {
            return Err(SrtpError::IndexReused);
        }
        self.control_index = index;
        let ssrc = word(&packet[4..8]);
        let index_word = (index | ENCRYPTED_FLAG).to_be_bytes();
        match &mut self.rtcp {
            Cipher::Gcm { aead, salt } => {
                let mut aad = [0; 12];
                aad[..8].copy_from_slice(&packet[..8]);
                aad[8..].copy_from_slice(&index_word);
                let mut tag = [0; GCM_TAG];
                aead.seal_in_place(
                    &gcm_rtcp_nonce(salt, ssrc, index),
                    &aad,
                    &mut packet[RTCP_HEADER..],
                    &mut tag,
                )
                .map_err(|_| SrtpError::Keys)?;
                packet.extend_from_slice(&tag);
                packet.extend_from_slice(&index_word);
            }
            Cipher::Cm { stream, mac, salt } => {
                stream
                    .apply_keystream(&cm_iv(salt, ssrc, u64::from(index)), &mut packet[RTCP_HEADER..])
                    .map_err(|_| SrtpError::Keys)?;
                packet.extend_from_slice(&index_word);
                let mut tag = [0; 20];
                mac.sign(&[packet], &mut tag).map_err(|_| SrtpError::Keys)?;
                packet.extend_from_slice(&tag[..SHA1_TAG]);
            }
        }
        Ok(())
    }
}
