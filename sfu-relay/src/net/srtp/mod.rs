//! SRTP and SRTCP (RFC 3711, RFC 7714) in place, without allocation per packet.
//!
//! Two properties beyond the RFCs' letter:
//! - no state of any kind changes before a tag verified, and the number of streams per peer is bounded (PF-26);
//! - the sealing side refuses to use a packet index twice for one SSRC. With GCM a repeated nonce over changed bytes gives the
//!   authentication key away, so this is not left to the callers' care; retransmissions go through RTX, which has an SSRC of its own. Sound,
//!   which has no RTX, may be repeated where exactly the same bytes come out as before.
//!
//! Requirements held here: RELY-11.

mod cipher;
mod index;
mod open;
mod seal;

use rtc_dtls::crypto_provider as crypto;
use zeroize::Zeroizing;

use open::Opener;
use seal::Sealer;

const SRTCP_INDEX: usize = 4;
const ENCRYPTED_FLAG: u32 = 1 << 31;
const RTCP_HEADER: usize = 8;

/// The protection profiles we negotiate (RFC 5764, RFC 7714).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    AeadAes128Gcm,
    Aes128CmHmacSha1_80,
}

impl Profile {
    const fn salt_len(self) -> usize {
        match self {
            Profile::AeadAes128Gcm => 12,
            Profile::Aes128CmHmacSha1_80 => 14,
        }
    }

    /// How many bytes the DTLS exporter has to give (RFC 5764 section 4.2).
    pub const fn keying_material_len(self) -> usize {
        2 * (16 + self.salt_len())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SrtpError {
    #[error("the packet is too short or its header is malformed")]
    Malformed,
    #[error("the packet did not authenticate")]
    Authentication,
    #[error("the packet was seen before or is too old to tell")]
    Replayed,
    #[error("too many streams")]
    TooManyStreams,
    #[error("a packet index would have been used twice")]
    IndexReused,
    #[error("the crypto provider refused the keys")]
    Keys,
}

/// Both directions of one DTLS association.
pub struct Srtp {
    incoming: Opener,
    outgoing: Sealer,
}

impl Srtp {
    /// `material` is what the DTLS exporter gave to the server: client key, server key, client salt, server salt.
    pub fn server(profile: Profile, material: &[u8], crypto: &dyn crypto::RTCCrypto) -> Result<Self, SrtpError> {
        let (client, server) = split(profile, material)?;
        Ok(Srtp {
            incoming: Opener::new(profile, &client, crypto)?,
            outgoing: Sealer::new(profile, &server, crypto)?,
        })
    }

    /// The same seen from the client: for tests and native participants.
    pub fn client(profile: Profile, material: &[u8], crypto: &dyn crypto::RTCCrypto) -> Result<Self, SrtpError> {
        let (client, server) = split(profile, material)?;
        Ok(Srtp {
            incoming: Opener::new(profile, &server, crypto)?,
            outgoing: Sealer::new(profile, &client, crypto)?,
        })
    }

    /// Authenticates and decrypts an RTP packet in place and returns its length in clear.
    pub fn open_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        self.incoming.rtp(packet)
    }

    /// Authenticates and decrypts a compound RTCP packet in place and returns its length in clear.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        self.incoming.rtcp(packet)
    }

    /// After [`SrtpError::TooManyStreams`]: the other side's SSRCs that do not live any more give way to others.
    pub fn forget_but(&mut self, lives: impl Fn(u32) -> bool) {
        self.incoming.forget_but(lives);
    }

    /// Encrypts an RTP packet in place and appends the tag.
    pub fn seal_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        self.outgoing.rtp(packet, 0, false)
    }

    /// The same for an RTP packet that stands in `buffer` from `start` to the end, after others.
    pub fn seal_last_rtp(&mut self, buffer: &mut Vec<u8>, start: usize) -> Result<(), SrtpError> {
        self.outgoing.rtp(buffer, start, false)
    }

    /// The same for one that may be sealed once more within its stream's next packets. That succeeds only if exactly the same comes out;
    /// otherwise the packet is gone from `buffer`.
    pub fn seal_last_repeatable_rtp(&mut self, buffer: &mut Vec<u8>, start: usize) -> Result<(), SrtpError> {
        self.outgoing.rtp(buffer, start, true)
    }

    /// Encrypts a compound RTCP packet in place and appends what SRTCP appends.
    pub fn seal_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        self.outgoing.rtcp(packet)
    }

    /// Whether anything was ever sealed under this SSRC. Such an SSRC must not be given to another stream of this association.
    pub fn has_sent(&self, ssrc: u32) -> bool {
        self.outgoing.has_sent(ssrc)
    }
}

type MasterKey = (Zeroizing<[u8; 16]>, Zeroizing<Vec<u8>>);

fn split(profile: Profile, material: &[u8]) -> Result<(MasterKey, MasterKey), SrtpError> {
    if material.len() != profile.keying_material_len() {
        return Err(SrtpError::Keys);
    }
    let (keys, salts) = material.split_at(32);
    let (client_salt, server_salt) = salts.split_at(profile.salt_len());
    let key = |bytes: &[u8]| {
        let mut key = Zeroizing::new([0; 16]);
        key.copy_from_slice(bytes);
        key
    };
    let client = (key(&keys[..16]), Zeroizing::new(client_salt.to_vec()));
    let server = (key(&keys[16..]), Zeroizing::new(server_salt.to_vec()));
    Ok((client, server))
}
