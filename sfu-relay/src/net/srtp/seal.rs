//! The sending side.

use rtc_dtls::crypto_provider as crypto;

use super::cipher::{Cipher, GCM_TAG, SHA1_TAG, cm_iv, gcm_rtcp_nonce, gcm_rtp_nonce, word};
use super::index::{Seen, estimate};
use super::{ENCRYPTED_FLAG, MasterKey, Profile, RTCP_HEADER, SrtpError};
use crate::rtp;
use crate::rtp::ssrc::SsrcMap;

pub(super) struct Sealer {
    rtp: Cipher,
    rtcp: Cipher,
    streams: SsrcMap<Seen>,
    /// One counter for all SSRCs is allowed and simpler: what must not repeat is the pair of SSRC and index.
    control_index: u32,
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
    pub(super) fn rtp(&mut self, buffer: &mut Vec<u8>, start: usize) -> Result<(), SrtpError> {
        let packet = buffer.get_mut(start..).ok_or(SrtpError::Malformed)?;
        let header = rtp::header_len(packet).ok_or(SrtpError::Malformed)?;
        let ssrc = word(&packet[8..12]);
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let seen = self.streams.get_mut(&ssrc);
        let index = estimate(seen.as_deref(), sequence).ok_or(SrtpError::IndexReused)?;
        if seen.as_ref().is_some_and(|seen| seen.contains(index)) {
            return Err(SrtpError::IndexReused);
        }
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
        match seen {
            Some(seen) => seen.insert(index),
            None => drop(self.streams.insert(ssrc, Seen::first(index))),
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
