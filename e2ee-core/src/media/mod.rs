//! Frames in and out of a call: which key, which counter, which epoch, and what is refused.
//!
//! [`MediaKeys`] is what a client holds, in its worker, once for a call. It has no clock: `now` comes in with each
//! call. The life of an epoch:
//!
//! 1. The group moves to epoch n + 1. [`install_epoch`](MediaKeys::install_epoch) makes its frames openable at once;
//!    frames that came too early come out of [`take_released`](MediaKeys::take_released), in their order.
//! 2. When everybody acknowledged, or a second later, and not before the new roster is shown,
//!    [`switch_sender`](MediaKeys::switch_sender) makes it the epoch that [`seal`](MediaKeys::seal) uses. Where that is
//!    late, `seal` switches by itself when the second is over, so that who left cannot open what is sent then (C5) and no
//!    frame is lost to a late timer. The first epoch of a call must be switched to in any case.
//! 3. The keys of epoch n open late frames for ten more seconds and are then wiped.
//!
//! ```
//! # use e2ee_core::media::{FrameType, Codec, MediaEpoch, MediaKeys, MediaKind, Opened, Outcome, StreamKind};
//! # use e2ee_core::sframe::{CipherSuite, Secret};
//! # use e2ee_core::time::UnixMillis;
//! # fn epoch(own_leaf: u32) -> MediaEpoch {
//! #     MediaEpoch { epoch: 7, base_key: Secret::new(vec![1; 16]), leaf_count: 2, own_leaf, members: [0, 1].into_iter().collect() }
//! # }
//! # let now = UnixMillis(1_000);
//! let mut alice = MediaKeys::new(CipherSuite::Aes128GcmSha256_128)?;
//! alice.install_epoch(epoch(0), now)?;
//! alice.switch_sender(7)?;
//! let mut bob = MediaKeys::new(CipherSuite::Aes128GcmSha256_128)?;
//! bob.install_epoch(epoch(1), now)?;
//!
//! let mut frame = b"what the encoder made".to_vec();
//! alice.seal(StreamKind::Camera, Codec::Vp8, FrameType::Key, &mut frame, now)?;
//! match bob.open(MediaKind::Video, &mut frame, now) {
//!     Outcome::Opened(Opened { leaf: 0, stream: StreamKind::Camera, .. }) => assert_eq!(frame, b"what the encoder made"),
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Two engines behind one seam
//!
//! `seal` and `open` run the AEAD here and at once. Where [`Engines`] lets the caller run it instead, the same steps come in
//! two halves, with the caller's engine between them ([`SealJob`], [`OpenJob`]): [`prepare_seal`](MediaKeys::prepare_seal)
//! and [`finish_seal`](MediaKeys::finish_seal), [`prepare_open`](MediaKeys::prepare_open) and
//! [`accept`](MediaKeys::accept). What is promised below holds for both.
//!
//! # What may be relied on
//!
//! * **Fail closed.** Where sealing or opening fails, `frame` is emptied. There is no call that passes a frame through.
//! * **No state before a tag.** A frame that does not verify leaves counts of refusals behind and nothing that a later
//!   frame's fate depends on: no replay state, no ratchet (PF-26). The key of a stream that a frame names is kept from
//!   the first frame on, forged or not: it follows from the epoch alone, and there are four a member. So a forged frame
//!   costs at most what a good frame from the same sender would (PF-27).
//! * **One key.** A KID names one key; nothing is tried (PF-11).
//! * **Exactly one stream.** An opened frame was sealed under the key of one member's one stream, in the shell it came
//!   in; a frame of the other kind is refused (PF-24, PF-31).
//!
//! # What may not
//!
//! All members derive every sender's key from the epoch's base key (RFC 9605 sections 5.2 and 7.2). A frame is proof that
//! a member of the group made it; that it was not another member in the sender's name is not proven, and no SFrame
//! deployment without signatures can.
//!
//! # What the client still has to do
//!
//! * Strip RTP padding before frames are put together. Browsers do. A sealed frame with bytes behind it is refused,
//!   not guessed at (PF-33).
//! * Negotiate RTX, and let no relay put padding into the media stream: until its first transformed frame arrives, a
//!   browser forgets padding packets and then waits for them (docs/decisions/0007-av1-first-key-frame.md). RTX also
//!   repeats packets as padding, so some [`DropReason::Replayed`] is normal.
//! * Never restore this state from a copy: a counter would repeat. A client that restarts needs a new epoch.

mod early;
mod engines;
mod epoch;
mod in_flight;
mod keys;
mod receiver;
mod receiving_epoch;
mod replay;
mod sender;
mod stats;
mod stream;
mod streams;

pub use crate::shell::{Codec, FrameType};
pub use early::EarlyTicket;
pub use engines::Engines;
pub use epoch::{EpochError, LeafSet, MediaEpoch};
pub use in_flight::{OpenJob, SealJob, Verified};
pub use keys::{HEADROOM, MediaKeys, ShortTag};
pub use receiver::{Opened, Outcome, Prepared, Released, ReleasedJob};
pub use sender::{SealError, SealInfo, SwitchError};
pub use stats::{DropReason, Stats};
pub use stream::{MediaKind, StreamKind};
