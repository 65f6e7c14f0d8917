//! The network's edge: which datagram belongs to whom, and what is needed to trust it.

mod batch;
pub(crate) mod demux;
pub mod dtls;
pub(crate) mod handover;
pub(crate) mod ice;
mod outlets;
mod records;
pub mod remote;
pub(crate) mod socket;
pub mod srtp;
pub mod stun;
mod tcp;
pub(crate) mod thread;
