//! AES-GCM (NIST SP 800-38D) for WebAssembly with SIMD, in constant time, several times as fast as what there was.
//!
//! ```text
//! gcm    seal, open: a nonce of 12 bytes, a tag of 16, in place
//!  -> aes    counter mode, four blocks at a time    -> tables (the S-box, computed from its definition)
//!  -> ghash  four blocks at a time
//!  -> lanes  sixteen bytes side by side: v128, or an array where there is none
//! ```
//!
//! # Constant time
//! What depends on key or text are additions, shifts by constants, and look-ups of sixteen bytes in sixteen bytes,
//! `i8x16.swizzle`. There is no branch and no address in memory that depends on either; how long a call takes depends on lengths
//! alone. Tags are compared by `subtle`.
//!
//! This relies on engines compiling `i8x16.swizzle` to one instruction whose time does not depend on its operands: `pshufb` on
//! x86 and `tbl` on ARM, as those of Chromium, Firefox and Safari do. They offer SIMD to WebAssembly only on processors
//! that have it. An engine that interprets WebAssembly would read the sixteen bytes by their index; those of the hash key's tables
//! lie in one line of any cache. The array in place of `v128` reads all of a table at each look-up and is for tests.
//!
//! # Why vector permutes
//! Without AES instructions a constant-time AES either computes its S-box bit by bit for eight or more blocks at once, or looks
//! it up in registers. The latter (Hamburg, CHES 2009) is at its best with few blocks, and frames of sound have eight. The same
//! instruction multiplies for GHASH, of which WebAssembly has no carry-less form.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod aes;
mod gcm;
mod ghash;
mod lanes;
mod tables;

pub use gcm::{AesGcm, Error, MAX_AAD_LEN, MAX_TEXT_LEN, NONCE_LEN, TAG_LEN};
