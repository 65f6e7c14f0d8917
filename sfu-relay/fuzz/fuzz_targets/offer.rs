//! libFuzzer's door to `relay_fuzz::offer`.
#![no_main]
// The macro exports the function that libFuzzer calls, which takes an unsafe attribute; there is no unsafe block.
#![allow(unsafe_code)]

libfuzzer_sys::fuzz_target!(|data: &[u8]| relay_fuzz::offer(data));
