//! The received streams of one epoch: for each a key and a replay window.
//!
//! A key comes into being when the first frame names its stream, good or forged. That is no state that a forged frame
//! could abuse: the key follows from the epoch's base key and the KID alone, it decides nothing, and there are at most
//! four a member, whoever asks. Without it each forged frame of a stream that was never heard would cost a key
//! derivation, many times what refusing it costs (PF-27). What does decide, the window, is touched by a tag only
//! (EPOC-9, PF-26).

use super::engines::StreamKey;
use super::epoch::LeafSet;
use super::replay::ReplayWindow;
use super::stream::StreamKind;

#[derive(Debug)]
pub(super) struct StreamTable {
    /// By leaf and stream: a lookup is one step however many members there are.
    slots: Vec<Option<Box<ReceivingStream>>>,
}

#[derive(Debug)]
pub(super) struct ReceivingStream {
    pub(super) key: StreamKey,
    pub(super) window: ReplayWindow,
}

impl StreamTable {
    /// For the streams of `members`.
    pub(super) fn new(members: &LeafSet) -> Self {
        let leaves = members.last().map_or(0, |leaf| leaf as usize + 1);
        let mut slots = Vec::new();
        slots.resize_with(leaves * StreamKind::ALL.len(), || None);
        StreamTable { slots }
    }

    /// The stream, with the key that `derive` yields where nobody asked before. `None` for a leaf beyond the members.
    #[inline]
    pub(super) fn stream(
        &mut self,
        leaf: u32,
        kind: StreamKind,
        derive: impl FnOnce() -> StreamKey,
    ) -> Option<&mut ReceivingStream> {
        let slot = self
            .slots
            .get_mut(leaf as usize * StreamKind::ALL.len() + kind as usize)?;
        if slot.is_none() {
            *slot = Some(first_named(derive()));
        }
        slot.as_deref_mut()
    }

    /// The stream, where somebody asked for it before.
    pub(super) fn known(&mut self, leaf: u32, kind: StreamKind) -> Option<&mut ReceivingStream> {
        self.slots
            .get_mut(leaf as usize * StreamKind::ALL.len() + kind as usize)?
            .as_deref_mut()
    }

    /// How many streams were heard: a tag verified under their key.
    pub(super) fn heard(&self) -> usize {
        self.all().filter(|stream| !stream.window.is_untouched()).count()
    }

    /// How many keys there are.
    pub(super) fn derived(&self) -> usize {
        self.all().count()
    }

    fn all(&self) -> impl Iterator<Item = &ReceivingStream> {
        self.slots.iter().flatten().map(|stream| &**stream)
    }
}

/// Once a stream: kept out of the way of every other frame.
#[cold]
#[inline(never)]
fn first_named(key: StreamKey) -> Box<ReceivingStream> {
    let window = ReplayWindow::default();
    Box::new(ReceivingStream { key, window })
}
