//! Congestion control towards each receiver. Sans-IO: time and reports come in, rates come out; nothing is allocated for a packet once
//! a line runs.
//!
//! ```text
//!  sent packets -> history <- reports (transport-wide feedback)
//!                     |
//!        delay: queue before the bottleneck      loss: does sending less help?      probe: does more arrive?
//!                     \-------------------- controller: the estimate ---------------------/
//!                                                   |
//!        allocation: which layer of which stream fits                 pacer: when the next packet may leave
//! ```
//!
//! Why it is as it is, and how it does beside str0m's: docs/decisions/0013-congestion-control.md.

pub(crate) mod allocation;
mod controller;
mod delay;
mod history;
mod loss;
mod pacer;
mod probe;
mod rate;
mod repeats;

pub use controller::{Controller, Demand, LEAST, MOST, OVERHEAD, START, Unused};
pub(crate) use rate::Meter;
pub use rate::Rate;
pub(crate) use repeats::Repeats;
