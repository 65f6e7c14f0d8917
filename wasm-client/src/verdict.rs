//! What became of a received frame, as a number: JavaScript asks for every frame, and a number costs nothing to carry.

use e2ee_core::media::DropReason;
use wasm_bindgen::prelude::wasm_bindgen;

pub(crate) const OPENED: u8 = 0;
pub(crate) const EARLY: u8 = 1;
/// The tag is WebCrypto's to verify; there is a job.
pub(crate) const IN_FLIGHT: u8 = 255;
/// This plus the place of the reason in [`drop_reasons`].
const FIRST_DROP: u8 = 2;

pub(crate) fn dropped(reason: DropReason) -> u8 {
    FIRST_DROP + reason as u8
}

/// The names of the reasons for which frames are dropped, in the order of their numbers.
#[wasm_bindgen]
#[must_use]
pub fn drop_reasons() -> Vec<String> {
    DropReason::ALL.iter().map(|reason| reason.name().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_number_and_its_name_stands_at_that_place() {
        let names = drop_reasons();
        for reason in DropReason::ALL {
            assert_eq!(names[usize::from(dropped(reason) - FIRST_DROP)], reason.name());
        }
    }
}
