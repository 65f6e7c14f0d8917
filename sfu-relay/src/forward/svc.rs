//! Layers inside one stream (SVC): which frames a consumer gets that wants no more than some spatial layer.
//!
//! All knowledge comes from the Dependency Descriptor (AV1 RTP specification, appendix A). A frame names its layer and says, for each decode
//! target, whether it belongs to it and whether decoding of that target may begin with it. A frame is forwarded whole or not at all.
//!
//! Requirements held here: RELY-12, RELY-13.

use crate::dd::{Descriptor, Structure};

/// Frames back from the newest that are remembered: which of them were forwarded.
const WINDOW: u64 = 64;
/// The decode target indications (appendix A.4).
const NOT_PRESENT: u64 = 0;
const SWITCH: u64 = 2;

/// The layers of a stream, from the structure its newest key frame brought.
#[derive(Debug, Clone)]
pub(crate) struct Scheme {
    structure: Structure,
    /// The highest spatial and temporal layer of each decode target.
    targets: Vec<(u8, u8)>,
    /// The targets that the sender still produces, as a bit mask.
    active: u32,
}

/// What the descriptor says of the frame a packet belongs to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    number: u16,
    last_packet: bool,
    key: bool,
    spatial: u8,
    /// Two bits for each decode target.
    indications: u64,
    /// Bit `n`: the frame refers to the one `n + 1` before it.
    refers: u64,
    /// It refers to a frame further back than that.
    refers_far: bool,
}

impl Scheme {
    /// `None`: there is but one layer, so nothing to choose.
    pub(crate) fn new(structure: &Structure, active: Option<u32>) -> Option<Self> {
        if structure.decode_targets < 2 {
            return None;
        }
        let of_target = |target: u8| {
            let templates = structure.templates.iter();
            let present = templates.filter(move |template| {
                let indication = template.indications.get(usize::from(target));
                indication.is_some_and(|indication| u64::from(*indication) != NOT_PRESENT)
            });
            present.fold((0, 0), |(spatial, temporal), template| {
                (template.spatial.max(spatial), template.temporal.max(temporal))
            })
        };
        Some(Scheme {
            targets: (0..structure.decode_targets).map(of_target).collect(),
            active: active.unwrap_or(u32::MAX),
            structure: structure.clone(),
        })
    }

    pub(crate) fn structure(&self) -> &Structure {
        &self.structure
    }

    /// The sender said which targets it still produces.
    pub(crate) fn set_active(&mut self, active: u32) {
        self.active = active;
    }

    /// What a descriptor says under this scheme. `None`: it is of another one.
    pub(crate) fn frame(&self, descriptor: &Descriptor) -> Option<Frame> {
        let template = self.structure.template(descriptor.template_id)?;
        let indications = descriptor.custom_indications.as_ref().unwrap_or(&template.indications);
        let differences = descriptor.custom_differences.as_ref().unwrap_or(&template.differences);
        let near = differences.iter().filter(|difference| (1..=64).contains(*difference));
        Some(Frame {
            number: descriptor.frame_number,
            last_packet: descriptor.end_of_frame,
            key: descriptor.structure.is_some(),
            spatial: template.spatial,
            indications: indications.iter().rev().fold(0, |all, one| all << 2 | u64::from(*one)),
            refers: near.fold(0, |all, difference| all | 1 << (difference - 1)),
            refers_far: differences.iter().any(|difference| *difference > 64),
        })
    }

    /// The best active target up to a spatial layer; the least one where none is that low.
    fn best(&self, max_spatial: u8) -> u8 {
        let known = (0_u8..).zip(&self.targets);
        let active = || known.clone().filter(|(target, _)| self.active >> target & 1 == 1);
        let fitting = active().filter(|(_, (spatial, _))| *spatial <= max_spatial);
        fitting
            .max_by_key(|(_, layers)| **layers)
            .or_else(|| active().min_by_key(|(_, layers)| **layers))
            .map_or(0, |(target, _)| target)
    }

    /// How many spatial layers there are.
    pub(crate) fn spatial_layers(&self) -> usize {
        self.targets
            .iter()
            .map(|(spatial, _)| usize::from(*spatial) + 1)
            .max()
            .unwrap_or(1)
    }

    /// Whether a receiver gets a frame who wants no spatial layer above `limit`.
    ///
    /// Where layers refer to each other on key frames only, that is one layer a moment: the lower ones are of no use to whoever gets a higher.
    pub(crate) fn gives(&self, frame: &Frame, limit: u8) -> bool {
        frame.indication(self.best(limit)) != NOT_PRESENT
    }

    /// Whether everything of target `inner` belongs to `outer` as well.
    fn contains(&self, outer: u8, inner: u8) -> bool {
        let present = |indications: &[u8], target: u8| {
            let indication = indications.get(usize::from(target));
            indication.is_some_and(|indication| u64::from(*indication) != NOT_PRESENT)
        };
        let mut templates = self.structure.templates.iter();
        templates.all(|t| !present(&t.indications, inner) || present(&t.indications, outer))
    }
}

impl Frame {
    fn indication(&self, target: u8) -> u64 {
        self.indications >> (2 * u32::from(target)) & 3
    }
}

/// One consumer's choice.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// The decode target that flows. `None`: no key frame told of any yet, so all frames do.
    target: Option<u8>,
    /// The number of the newest frame, unwrapped.
    newest: Option<u64>,
    /// Bit `n`: the frame `n` before the newest was met, and was forwarded.
    met: u64,
    forwarded: u64,
}

impl Selection {
    /// A key frame is about to begin the stream anew.
    pub(crate) fn reset(&mut self) {
        *self = Selection::default();
    }

    /// Whether a packet of `frame` is forwarded to a consumer that wants no spatial layer above `max`. All packets of a frame get the same
    /// answer, in whatever order they come.
    pub(crate) fn takes(&mut self, scheme: &Scheme, frame: &Frame, max: Option<u8>) -> bool {
        let newest = *self.newest.get_or_insert((1 << 16) + u64::from(frame.number));
        let step = frame.number.wrapping_sub(newest as u16) as i16;
        let age = u64::from(step.unsigned_abs());
        if step > 0 {
            let shift = |bits: u64| bits.checked_shl(age as u32).unwrap_or(0);
            (self.met, self.forwarded) = (shift(self.met), shift(self.forwarded));
            self.newest = Some(newest + age);
        } else if age >= WINDOW {
            return self.is_in_target(frame);
        } else if self.met >> age & 1 == 1 {
            return self.forwarded >> age & 1 == 1;
        }
        let back = if step > 0 { 0 } else { age };
        if back == 0 {
            self.switch(scheme, frame, max);
        }
        let taken = self.is_in_target(frame);
        self.met |= 1 << back;
        self.forwarded |= u64::from(taken) << back;
        taken
    }

    /// Whether the frame's last packet ends what this consumer gets of its moment: the marker belongs there.
    pub(crate) fn ends_moment(&self, scheme: &Scheme, frame: &Frame) -> bool {
        let top = self.target.and_then(|target| scheme.targets.get(usize::from(target)));
        frame.last_packet && top.is_some_and(|(spatial, _)| *spatial == frame.spatial)
    }

    /// Whether only a key frame leads to what is wanted.
    pub(crate) fn needs_key_frame(&self, scheme: &Scheme, max: Option<u8>) -> bool {
        let Some(target) = self.target else { return false };
        let wanted = scheme.best(max.unwrap_or(u8::MAX));
        let spatial = |target: u8| scheme.targets.get(usize::from(target)).map(|(spatial, _)| *spatial);
        spatial(wanted) != spatial(target) && !scheme.contains(target, wanted)
    }

    fn is_in_target(&self, frame: &Frame) -> bool {
        self.target.is_none_or(|target| frame.indication(target) != NOT_PRESENT)
    }

    /// Changes the target if decoding of the wanted one can begin with this frame.
    fn switch(&mut self, scheme: &Scheme, frame: &Frame, max: Option<u8>) {
        let wanted = scheme.best(max.unwrap_or(u8::MAX));
        if frame.key {
            self.target = Some(wanted);
            return;
        }
        let allowed = match self.target {
            None => true,
            Some(target) if target == wanted => return,
            // What it refers to must have been forwarded: an indication alone speaks to somebody who got all frames.
            Some(target) => {
                let began = frame.indication(wanted) == SWITCH
                    && !frame.refers_far
                    && (self.forwarded >> 1) & frame.refers == frame.refers;
                scheme.contains(target, wanted) || began
            }
        };
        if allowed {
            self.target = Some(wanted);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Frame, Scheme, Selection};
    use crate::dd::{Descriptor, Structure, Template};

    /// Three spatial layers without temporal ones: K-SVC (layers refer to each other on key frames only) or full SVC. The templates are the
    /// three layers of a key frame, then of a delta frame.
    fn structure(key_only: bool) -> Structure {
        let template = |spatial, indications: [u8; 3], differences: &[u16]| Template {
            spatial,
            temporal: 0,
            indications: indications.to_vec(),
            differences: differences.to_vec(),
        };
        let templates = if key_only {
            vec![
                template(0, [2, 2, 2], &[]),
                template(1, [0, 2, 2], &[1]),
                template(2, [0, 0, 2], &[1]),
                template(0, [3, 0, 0], &[3]),
                template(1, [0, 3, 0], &[3]),
                template(2, [0, 0, 3], &[3]),
            ]
        } else {
            vec![
                template(0, [2, 2, 2], &[]),
                template(1, [0, 2, 2], &[1]),
                template(2, [0, 0, 2], &[1]),
                template(0, [3, 3, 3], &[3]),
                // From the layer below alone: decoding of the target may begin here.
                template(1, [0, 2, 3], &[1]),
                template(2, [0, 0, 3], &[3, 1]),
            ]
        };
        Structure {
            template_id_offset: 0,
            decode_targets: 3,
            templates,
            resolutions: Vec::new(),
        }
    }

    struct Stream {
        scheme: Scheme,
        structure: Structure,
        number: u16,
    }

    impl Stream {
        fn new(key_only: bool) -> Self {
            let structure = structure(key_only);
            Stream {
                scheme: Scheme::new(&structure, None).unwrap(),
                structure,
                number: 0xFFF0, // wraps soon
            }
        }

        fn frame(&mut self, template_id: u8) -> Frame {
            self.number = self.number.wrapping_add(1);
            let descriptor = Descriptor {
                start_of_frame: true,
                end_of_frame: true,
                template_id,
                frame_number: self.number,
                structure: (template_id == 0).then(|| self.structure.clone()),
                active_decode_targets: None,
                custom_indications: None,
                custom_differences: None,
            };
            self.scheme.frame(&descriptor).unwrap()
        }

        /// The layers of one moment that are forwarded.
        fn moment(&mut self, selection: &mut Selection, key: bool, max: Option<u8>) -> Vec<u8> {
            (0..3_u8)
                .filter(|spatial| {
                    let frame = self.frame(if key { *spatial } else { 3 + spatial });
                    selection.takes(&self.scheme, &frame, max)
                })
                .collect()
        }
    }

    #[test]
    fn rely_13_a_consumer_without_a_limit_gets_the_highest_layer_and_what_it_refers_to() {
        for (key_only, delta) in [(true, vec![2]), (false, vec![0, 1, 2])] {
            let (mut stream, mut selection) = (Stream::new(key_only), Selection::default());
            for i in 0..40 {
                let due = if i % 20 == 0 { &vec![0, 1, 2] } else { &delta };
                assert_eq!(stream.moment(&mut selection, i % 20 == 0, None), *due);
            }
            assert!(!selection.needs_key_frame(&stream.scheme, None));
        }
    }

    #[test]
    fn rely_13_a_limited_consumer_gets_its_layer_alone_between_key_frames_and_all_below_on_them() {
        let (mut stream, mut selection) = (Stream::new(true), Selection::default());
        assert_eq!(stream.moment(&mut selection, true, Some(1)), [0, 1]);
        for _ in 0..30 {
            assert_eq!(stream.moment(&mut selection, false, Some(1)), [1]);
        }
        let (mut stream, mut selection) = (Stream::new(false), Selection::default());
        assert_eq!(stream.moment(&mut selection, true, Some(1)), [0, 1]);
        assert_eq!(stream.moment(&mut selection, false, Some(1)), [0, 1]);
    }

    #[test]
    fn rely_13_a_limit_set_later_holds_at_once_where_the_lower_layer_flowed_and_else_from_a_key_frame() {
        let (mut stream, mut selection) = (Stream::new(false), Selection::default());
        stream.moment(&mut selection, true, None);
        stream.moment(&mut selection, false, None);
        assert_eq!(stream.moment(&mut selection, false, Some(0)), [0]);
        assert!(!selection.needs_key_frame(&stream.scheme, Some(0)));
        let (mut stream, mut selection) = (Stream::new(true), Selection::default());
        stream.moment(&mut selection, true, None);
        assert_eq!(stream.moment(&mut selection, false, Some(0)), [2]);
        assert!(selection.needs_key_frame(&stream.scheme, Some(0)));
        assert_eq!(stream.moment(&mut selection, true, Some(0)), [0]);
    }

    #[test]
    fn rely_13_a_layer_that_the_sender_stops_is_left_by_a_key_frame() {
        let (mut stream, mut selection) = (Stream::new(true), Selection::default());
        stream.moment(&mut selection, true, None);
        stream.scheme.set_active(0b011);
        let (low, middle) = (stream.frame(3), stream.frame(4));
        assert!(!selection.takes(&stream.scheme, &low, None));
        assert!(!selection.takes(&stream.scheme, &middle, None));
        assert!(selection.needs_key_frame(&stream.scheme, None));
        assert_eq!(stream.moment(&mut selection, true, None), [0, 1]);
        assert!(!selection.needs_key_frame(&stream.scheme, None));
    }

    #[test]
    fn rely_13_between_layers_that_do_not_refer_to_each_other_only_a_key_frame_switches_up_or_down() {
        for (from, to) in [(0, 2), (2, 0), (1, 2)] {
            let (mut stream, mut selection) = (Stream::new(true), Selection::default());
            stream.moment(&mut selection, true, Some(from));
            for _ in 0..5 {
                assert_eq!(stream.moment(&mut selection, false, Some(to)), [from]);
                assert!(selection.needs_key_frame(&stream.scheme, Some(to)));
            }
            assert_eq!(
                stream.moment(&mut selection, true, Some(to)),
                (0..=to).collect::<Vec<_>>()
            );
            assert_eq!(stream.moment(&mut selection, false, Some(to)), [to]);
            assert!(!selection.needs_key_frame(&stream.scheme, Some(to)));
        }
    }

    #[test]
    fn rely_13_where_layers_build_on_each_other_one_goes_down_at_once_and_up_at_a_switch_point_whose_references_are_there()
     {
        let (mut stream, mut selection) = (Stream::new(false), Selection::default());
        stream.moment(&mut selection, true, Some(2));
        assert_eq!(stream.moment(&mut selection, false, Some(0)), [0]);
        // Layer 1 begins anew from layer 0. Layer 2 refers to its own last frame, which was not forwarded.
        assert_eq!(stream.moment(&mut selection, false, Some(1)), [0, 1]);
        assert_eq!(stream.moment(&mut selection, false, Some(2)), [0, 1]);
        assert!(selection.needs_key_frame(&stream.scheme, Some(2)));
        assert_eq!(stream.moment(&mut selection, true, Some(2)), [0, 1, 2]);
    }

    #[test]
    fn rely_13_a_limit_that_is_lifted_needs_a_key_frame_where_layers_were_left_out() {
        let (mut stream, mut selection) = (Stream::new(true), Selection::default());
        stream.moment(&mut selection, true, Some(0));
        assert_eq!(stream.moment(&mut selection, false, None), [0]);
        assert!(selection.needs_key_frame(&stream.scheme, None));
        assert_eq!(stream.moment(&mut selection, true, None), [0, 1, 2]);
        assert_eq!(stream.moment(&mut selection, false, None), [2]);
    }

    #[test]
    fn all_packets_of_a_frame_share_its_fate_though_they_come_late_and_the_wish_changed() {
        let (mut stream, mut selection) = (Stream::new(true), Selection::default());
        stream.moment(&mut selection, true, Some(2));
        let (low, high) = (stream.frame(3), stream.frame(5));
        assert!(!selection.takes(&stream.scheme, &low, Some(2)));
        assert!(selection.takes(&stream.scheme, &high, Some(2)));
        assert_eq!(stream.moment(&mut selection, true, Some(0)), [0]);
        assert!(selection.takes(&stream.scheme, &high, Some(0)), "begun, so finished");
        assert!(!selection.takes(&stream.scheme, &low, Some(0)));
    }

    #[test]
    fn a_target_that_the_sender_gave_up_is_not_chosen() {
        let (mut stream, mut selection) = (Stream::new(true), Selection::default());
        stream.scheme.set_active(0b011);
        assert_eq!(stream.moment(&mut selection, true, Some(2)), [0, 1]);
        stream.scheme.set_active(0b100);
        assert_eq!(
            stream.moment(&mut selection, true, Some(0)),
            [0, 1, 2],
            "the least there is"
        );
    }

    #[test]
    fn the_marker_moves_to_the_last_packet_of_the_highest_layer_that_is_forwarded() {
        let (mut stream, mut selection) = (Stream::new(true), Selection::default());
        stream.moment(&mut selection, true, Some(1));
        let (low, middle) = (stream.frame(0), stream.frame(1));
        assert!(!selection.ends_moment(&stream.scheme, &low));
        assert!(selection.ends_moment(&stream.scheme, &middle));
        let unfinished = Frame {
            last_packet: false,
            ..middle
        };
        assert!(!selection.ends_moment(&stream.scheme, &unfinished));
    }
}
