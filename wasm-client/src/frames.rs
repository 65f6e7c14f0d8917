//! The frames of a meeting, between JavaScript and the media keys.
//!
//! Bytes cross in one buffer inside the WebAssembly memory: JavaScript asks where to write, writes, calls, and reads the result
//! from where [`Frames::at`] says. So a frame costs one copy in and one out and no allocation here.
//!
//! WebCrypto answers later, so a frame that goes through it is prepared, kept as a job while it is in flight, and finished by
//! the job's number. A number is used once: what ends a job takes it out.

use std::collections::VecDeque;

use e2ee_core::media::{
    Codec, DropReason, Engines, EpochError, FrameType, HEADROOM, MediaEpoch, MediaKeys, MediaKind, OpenJob, Opened,
    Outcome, Prepared, Released, ReleasedJob, SealJob, ShortTag, StreamKind, SwitchError,
};
use e2ee_core::sframe::{AeadCall, CipherSuite};
use e2ee_core::time::UnixMillis;
use zeroize::{Zeroize, Zeroizing};

use crate::verdict;

/// More than all streams of a full room may have in flight; the worker's own limits are lower.
const MAX_JOBS: usize = 4_096;

/// Bytes of the longest key of a suite that WebCrypto has.
const MAX_KEY_LEN: usize = 32;

pub(crate) struct Frames {
    media: MediaKeys,
    engines: Engines,
    /// CLNT-12: between a refusal and the next epoch nothing is sealed.
    sending: bool,
    buffer: Vec<u8>,
    /// Where in `buffer` the last call left its result.
    result: std::ops::Range<usize>,
    jobs: Jobs,
    released: VecDeque<Release>,
    /// What the last opening was about, to be fetched field by field.
    pub(crate) last: Last,
    call: CallBytes,
    key: Zeroizing<[u8; MAX_KEY_LEN]>,
}

#[derive(Default)]
pub(crate) struct Last {
    pub(crate) ticket: u64,
    pub(crate) leaf: u32,
    pub(crate) stream: u8,
    pub(crate) epoch: u64,
    /// The number of the job, and the key that it asks for.
    pub(crate) job: u32,
    pub(crate) key_id: u64,
}

/// Nonce and associated data of one AEAD call, where JavaScript reads them.
#[derive(Default)]
pub(crate) struct CallBytes {
    bytes: [u8; 32],
    aad_len: usize,
}

enum Release {
    Done(Released),
    Job(ReleasedJob),
}

enum Job {
    Seal(SealJob),
    Open(OpenJob),
}

/// Frames in flight, by numbers that never come again.
#[derive(Default)]
struct Jobs {
    last_number: u32,
    jobs: Vec<(u32, Job)>,
}

impl Frames {
    /// Frames may come before the group's keys do: these hold them until then.
    pub(crate) fn new(engines: Engines) -> Result<Self, ShortTag> {
        Ok(Self {
            media: MediaKeys::with_engines(CipherSuite::Aes128GcmSha256_128, engines)?,
            engines,
            sending: false,
            buffer: Vec::new(),
            result: 0..0,
            jobs: Jobs::default(),
            released: VecDeque::new(),
            last: Last::default(),
            call: CallBytes::default(),
            key: Zeroizing::default(),
        })
    }

    /// Another group's keys, and nothing of the former one's: frames in flight are gone with it.
    pub(crate) fn start_anew(&mut self, suite: CipherSuite) -> Result<(), ShortTag> {
        self.media = MediaKeys::with_engines(suite, self.engines)?;
        self.released.clear();
        self.jobs.jobs.clear();
        Ok(())
    }

    pub(crate) fn serves(&self, suite: CipherSuite) -> bool {
        self.media.suite() == suite && self.media.newest_epoch().is_none()
    }

    pub(crate) fn install(&mut self, epoch: MediaEpoch, now: UnixMillis) -> Result<(), EpochError> {
        let installed = self.media.install_epoch(epoch, now);
        self.gather_released();
        installed
    }

    pub(crate) fn switch(&mut self, epoch: u64) -> Result<(), SwitchError> {
        self.media.switch_sender(epoch)?;
        self.sending = true;
        Ok(())
    }

    pub(crate) fn stop_sending(&mut self) {
        self.sending = false;
    }

    pub(crate) fn tick(&mut self, now: UnixMillis) {
        self.media.tick(now);
        self.gather_released();
    }

    /// Whether sending is on, and stopped for want of a new epoch (EPOC-13).
    pub(crate) fn is_stale(&self, now: UnixMillis) -> bool {
        self.sending && self.media.is_stale(now)
    }

    pub(crate) fn give_up(&mut self, now: UnixMillis) {
        self.media.give_up(now);
    }

    fn gather_released(&mut self) {
        let done = self.media.take_released().into_iter().map(Release::Done);
        self.released.extend(done);
        let jobs = self.media.take_released_jobs().into_iter().map(Release::Job);
        self.released.extend(jobs);
    }

    // ---- Bytes -------------------------------------------------------------------------------------------------------

    /// Where to write a frame of `len` bytes that is to be sealed, or the ciphertext and tag that one became.
    pub(crate) fn room_to_seal(&mut self, len: usize) -> usize {
        self.buffer.resize(HEADROOM + len, 0);
        self.buffer.as_ptr() as usize + HEADROOM
    }

    /// Where to write a frame of `len` bytes that is to be opened.
    pub(crate) fn room_to_open(&mut self, len: usize) -> usize {
        self.buffer.resize(len, 0);
        self.buffer.as_ptr() as usize
    }

    /// The address of what the last call left behind.
    pub(crate) fn at(&self) -> usize {
        self.buffer.as_ptr() as usize + self.result.start
    }

    pub(crate) fn len(&self) -> usize {
        self.result.len()
    }

    pub(crate) fn call(&self) -> &CallBytes {
        &self.call
    }

    // ---- This engine, at once ----------------------------------------------------------------------------------------

    /// Whether the frame in the buffer was sealed.
    pub(crate) fn seal(&mut self, what: Sealed, now: UnixMillis) -> bool {
        let Sealed {
            stream,
            codec,
            frame_type,
        } = what;
        if !self.sending {
            return self.nothing();
        }
        let sealed = self
            .media
            .seal_with_headroom(stream, codec, frame_type, &mut self.buffer, HEADROOM, now);
        self.sealed(sealed.ok().map(|(_, start)| start))
    }

    /// The verdict on the frame in the buffer.
    pub(crate) fn open(&mut self, kind: MediaKind, now: UnixMillis) -> u8 {
        let outcome = self.media.open(kind, &mut self.buffer, now);
        self.result = 0..self.buffer.len();
        match outcome {
            Outcome::Opened(opened) => self.opened(opened),
            Outcome::Early(ticket) => self.early(ticket.0),
            Outcome::Dropped(reason) => verdict::dropped(reason),
        }
    }

    // ---- WebCrypto, in two halves ------------------------------------------------------------------------------------

    /// The job's number, or 0: then there is nothing to encrypt.
    pub(crate) fn prepare_seal(&mut self, what: Sealed, text_len: usize, now: UnixMillis) -> u32 {
        let Sealed {
            stream,
            codec,
            frame_type,
        } = what;
        if !self.sending || self.jobs.is_full() {
            return 0;
        }
        let Ok(job) = self.media.prepare_seal(stream, codec, frame_type, text_len, now) else {
            return 0;
        };
        self.call.set(job.call());
        (self.last.epoch, self.last.key_id) = (job.info().epoch, job.info().key_id);
        self.jobs.keep(Job::Seal(job))
    }

    /// Makes the sealed frame of the ciphertext and tag in the buffer.
    pub(crate) fn finish_seal(&mut self, number: u32, now: UnixMillis) -> bool {
        let Some(Job::Seal(job)) = self.jobs.take(number) else {
            return self.nothing();
        };
        if !self.sending {
            self.media.abandon_seal(job);
            return self.nothing();
        }
        let finished = self.media.finish_seal(job, &mut self.buffer, HEADROOM, now);
        self.sealed(finished.ok().map(|(_, start)| start))
    }

    /// The verdict on the frame in the buffer; for [`verdict::IN_FLIGHT`] there is a job.
    pub(crate) fn prepare_open(&mut self, kind: MediaKind, now: UnixMillis) -> u8 {
        if self.jobs.is_full() {
            return verdict::dropped(DropReason::NoAnswer);
        }
        match self.media.prepare_open(kind, &mut self.buffer, now) {
            Prepared::Ready(job) => self.in_flight(job),
            Prepared::Early(ticket) => self.early(ticket.0),
            Prepared::Dropped(reason) => verdict::dropped(reason),
        }
    }

    /// The verdict on a frame that WebCrypto says is authentic.
    pub(crate) fn accept(&mut self, number: u32, plaintext_len: usize, now: UnixMillis) -> u8 {
        let Some(Job::Open(job)) = self.jobs.take(number) else {
            return verdict::dropped(DropReason::EpochOver);
        };
        match job.verified_by_caller(plaintext_len) {
            Ok(verified) => match self.media.accept(verified, now) {
                Ok(opened) => self.opened(opened),
                Err(reason) => verdict::dropped(reason),
            },
            Err(job) => {
                self.media.refuse(job);
                verdict::dropped(DropReason::NotAuthentic)
            }
        }
    }

    /// The verdict on a frame that WebCrypto says is not authentic.
    pub(crate) fn refuse(&mut self, number: u32) -> u8 {
        match self.jobs.take(number) {
            Some(Job::Open(job)) => self.media.refuse(job),
            Some(Job::Seal(job)) => self.media.abandon_seal(job),
            None => {}
        }
        verdict::dropped(DropReason::NotAuthentic)
    }

    /// WebCrypto did not answer in time.
    pub(crate) fn abandon(&mut self, number: u32) {
        match self.jobs.take(number) {
            Some(Job::Open(job)) => self.media.abandon_open(job),
            Some(Job::Seal(job)) => self.media.abandon_seal(job),
            None => {}
        }
    }

    /// Puts a key where JavaScript can read it, for as long as an import takes; answers its length, 0 if there is none.
    pub(crate) fn show_key(&mut self, epoch: u64, key_id: u64) -> usize {
        let Some(key) = self.media.key_for_caller(epoch, key_id) else {
            return 0;
        };
        let bytes = key.expose_key();
        let Some(place) = self.key.get_mut(..bytes.len()) else {
            return 0;
        };
        place.copy_from_slice(bytes);
        bytes.len()
    }

    pub(crate) fn key_at(&self) -> usize {
        self.key.as_ptr() as usize
    }

    pub(crate) fn wipe_key(&mut self) {
        self.key.zeroize();
    }

    pub(crate) fn holds(&self, epoch: u64) -> bool {
        self.media.holds(epoch)
    }

    // ---- What waited -------------------------------------------------------------------------------------------------

    /// The verdict on the next frame that waited, which is then in the buffer.
    pub(crate) fn next_released(&mut self) -> Option<u8> {
        let (ticket, verdict) = match self.released.pop_front()? {
            Release::Done(Released { ticket, outcome, frame }) => {
                self.result = 0..frame.len();
                self.buffer = frame;
                let verdict = match outcome {
                    Ok(opened) => self.opened(opened),
                    Err(reason) => verdict::dropped(reason),
                };
                (ticket, verdict)
            }
            Release::Job(ReleasedJob { ticket, job, frame }) => {
                self.buffer = frame;
                (ticket, self.in_flight(job))
            }
        };
        self.last.ticket = ticket.0;
        Some(verdict)
    }

    fn in_flight(&mut self, job: OpenJob) -> u8 {
        self.call.set(job.call());
        self.result = job.text();
        (self.last.epoch, self.last.key_id) = job.key();
        self.last.job = self.jobs.keep(Job::Open(job));
        verdict::IN_FLIGHT
    }

    fn opened(&mut self, opened: Opened) -> u8 {
        let Opened {
            leaf, stream, epoch, ..
        } = opened;
        self.last = Last {
            leaf,
            stream: stream as u8,
            epoch,
            ..Last::default()
        };
        verdict::OPENED
    }

    fn early(&mut self, ticket: u64) -> u8 {
        self.last = Last {
            ticket,
            ..Last::default()
        };
        verdict::EARLY
    }

    fn sealed(&mut self, start: Option<usize>) -> bool {
        match start {
            Some(start) => {
                self.result = start..self.buffer.len();
                true
            }
            None => self.nothing(),
        }
    }

    fn nothing(&mut self) -> bool {
        self.result = 0..0;
        false
    }
}

/// What is sealed, by the numbers that JavaScript uses.
pub(crate) struct Sealed {
    stream: StreamKind,
    codec: Codec,
    frame_type: FrameType,
}

impl Sealed {
    pub(crate) fn from_numbers(stream: u8, codec: u8, key: bool) -> Option<Self> {
        Some(Self {
            stream: *StreamKind::ALL.get(usize::from(stream))?,
            codec: *crate::client::CODECS.get(usize::from(codec))?,
            frame_type: if key { FrameType::Key } else { FrameType::Delta },
        })
    }
}

impl CallBytes {
    fn set(&mut self, call: &AeadCall) {
        let (nonce, aad) = (call.nonce(), call.associated_data());
        self.bytes[..nonce.len()].copy_from_slice(nonce);
        self.bytes[nonce.len()..nonce.len() + aad.len()].copy_from_slice(aad);
        self.aad_len = aad.len();
    }

    /// The nonce is here, and the associated data behind it.
    pub(crate) fn at(&self) -> usize {
        self.bytes.as_ptr() as usize
    }

    pub(crate) fn aad_len(&self) -> usize {
        self.aad_len
    }
}

impl Jobs {
    fn is_full(&self) -> bool {
        self.jobs.len() >= MAX_JOBS
    }

    fn keep(&mut self, job: Job) -> u32 {
        // Never 0, which means no job. After four billion frames in flight the first number is long free.
        self.last_number = self.last_number.checked_add(1).unwrap_or(1);
        self.jobs.push((self.last_number, job));
        self.last_number
    }

    fn take(&mut self, number: u32) -> Option<Job> {
        let place = self.jobs.iter().position(|(found, _)| *found == number)?;
        Some(self.jobs.swap_remove(place).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_number_serves_once() {
        let mut frames = Frames::new(Engines::Caller).ok().unwrap();
        let epoch = MediaEpoch {
            epoch: 1,
            base_key: e2ee_core::sframe::Secret::new(vec![1; 16]),
            leaf_count: 2,
            own_leaf: 0,
            members: [0, 1].into_iter().collect(),
        };
        frames.install(epoch, UnixMillis(1)).unwrap();
        let what = || Sealed::from_numbers(1, 1, false).unwrap();
        assert_eq!(
            frames.prepare_seal(what(), 3, UnixMillis(1)),
            0,
            "CLNT-12: not sending yet"
        );
        frames.switch(1).unwrap();
        let job = frames.prepare_seal(what(), 3, UnixMillis(1));
        assert_ne!(job, 0);
        frames.room_to_seal(3 + 16);
        assert!(frames.finish_seal(job, UnixMillis(1)));
        assert_eq!(
            frames.len(),
            1 + 2 + 3 + 16,
            "VP8's byte, a header of two, text and tag"
        );
        frames.room_to_seal(3 + 16);
        assert!(!frames.finish_seal(job, UnixMillis(1)));
        assert_eq!(
            (frames.len(), frames.refuse(job)),
            (0, verdict::dropped(DropReason::NotAuthentic))
        );

        // CLNT-12 holds for what is in flight, and another group knows no job of the former one.
        let (stopped, former) = (
            frames.prepare_seal(what(), 3, UnixMillis(1)),
            frames.prepare_seal(what(), 3, UnixMillis(1)),
        );
        frames.stop_sending();
        frames.room_to_seal(3 + 16);
        assert!(!frames.finish_seal(stopped, UnixMillis(1)));
        frames.start_anew(CipherSuite::Aes128GcmSha256_128).ok().unwrap();
        frames.room_to_seal(3 + 16);
        assert!(!frames.finish_seal(former, UnixMillis(1)));
        assert_eq!(
            frames.accept(former, 3, UnixMillis(1)),
            verdict::dropped(DropReason::EpochOver)
        );
    }

    #[test]
    fn engn_2_a_key_is_shown_for_as_long_as_an_import_takes() {
        let mut frames = Frames::new(Engines::Either).ok().unwrap();
        assert_eq!(frames.show_key(1, 0), 0);
        let epoch = MediaEpoch {
            epoch: 1,
            base_key: e2ee_core::sframe::Secret::new(vec![1; 16]),
            leaf_count: 2,
            own_leaf: 0,
            members: [0, 1].into_iter().collect(),
        };
        frames.install(epoch, UnixMillis(1)).unwrap();
        assert_eq!(frames.show_key(1, 0), 16);
        assert_ne!(*frames.key, [0; MAX_KEY_LEN]);
        frames.wipe_key();
        assert_eq!(*frames.key, [0; MAX_KEY_LEN]);
        assert!(frames.holds(1) && !frames.holds(2));
    }
}
