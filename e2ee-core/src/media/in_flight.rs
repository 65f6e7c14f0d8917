//! Frames on their way through an engine of the caller's, and the proof that one of them verified.
//!
//! ```text
//! prepare_seal: counter taken, header, nonce, associated data -> SealJob -> AEAD -> finish_seal: header, shell
//! prepare_open: shell, header, epoch, member, replay          -> OpenJob -> AEAD -> Verified -> accept: window marked
//! ```
//! Neither job can be copied, and each is used up by what ends it.

use std::ops::Range;

use super::receiver::Opened;
use super::sender::SealInfo;
use super::stats::DropReason;
use super::stream::metadata;
use crate::sframe::header::EncodedHeader;
use crate::sframe::{AeadCall, FrameKey, Header};
use crate::shell::Shell;

/// A frame whose counter is taken (SFRM-1), to be encrypted. Dropped, it leaves a gap in the counters and nothing else.
#[derive(Debug)]
#[must_use]
pub struct SealJob {
    pub(super) info: SealInfo,
    pub(super) call: AeadCall,
    pub(super) header: EncodedHeader,
    pub(super) shell: Shell,
    /// Of ciphertext and tag.
    pub(super) sealed_len: usize,
}

/// A frame that may be new and authentic, to be decrypted. Dropped, it leaves nothing.
#[derive(Debug)]
#[must_use]
pub struct OpenJob {
    pub(super) opened: Opened,
    pub(super) key_id: u64,
    pub(super) call: AeadCall,
    pub(super) text: Range<usize>,
    pub(super) tag_len: usize,
}

/// Proof that a frame's tag verified: what [`accept`](super::MediaKeys::accept) asks for, and the only thing that a
/// replay window is ever marked for (EPOC-8).
#[derive(Debug)]
#[must_use]
pub struct Verified {
    opened: Opened,
}

impl SealJob {
    pub fn info(&self) -> SealInfo {
        self.info
    }

    pub fn call(&self) -> &AeadCall {
        &self.call
    }
}

impl OpenJob {
    /// The key that the frame names: which epoch, and which KID of it.
    pub fn key(&self) -> (u64, u64) {
        (self.opened.epoch, self.key_id)
    }

    pub fn call(&self) -> &AeadCall {
        &self.call
    }

    /// Where ciphertext and tag lie in the frame.
    pub fn text(&self) -> Range<usize> {
        self.text.clone()
    }

    /// The caller's engine says that the tag verified, and `plaintext_len` bytes came out. This is where that engine is
    /// believed, and the only place; what it cannot have made of this frame is not.
    pub fn verified_by_caller(self, plaintext_len: usize) -> Result<Verified, OpenJob> {
        if plaintext_len + self.tag_len != self.text.len() {
            return Err(self);
        }
        Ok(Verified { opened: self.opened })
    }
}

impl Verified {
    /// Opens the SFrame bytes at `sealed` in `frame` with a key of this crate's.
    #[inline]
    pub(super) fn by(
        key: &FrameKey,
        opened: Opened,
        shell: Shell,
        header: &Header,
        frame: &mut Vec<u8>,
        sealed: Range<usize>,
    ) -> Result<Verified, DropReason> {
        key.open(header, &metadata(shell), frame, sealed)
            .map_err(|_| DropReason::NotAuthentic)?;
        Ok(Verified { opened })
    }

    #[inline]
    pub(super) fn opened(&self) -> &Opened {
        &self.opened
    }
}
