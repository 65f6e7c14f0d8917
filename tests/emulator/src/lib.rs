//! A network in virtual time: what becomes of packets on a line with a capacity, a queue, a way to go and bad luck.
//!
//! Sans-IO: packets and the time go in, packets come out. The same seed and the same input give the same fate to each packet.
//!
//! - [`Line`]: one direction of a path.
//! - [`Profile`]: what a line is like, over time.
//! - [`scenarios`]: the lines that congestion control is judged on.
//! - [`trial`]: an engine of congestion control on one of them, and how it did.
#![forbid(unsafe_code)]

mod line;
mod profile;
mod random;
pub mod scenarios;
pub mod trial;

pub use line::{Fate, Line, Tally};
pub use profile::{Capacity, Loss, Profile, Reordering};
pub use random::Random;
