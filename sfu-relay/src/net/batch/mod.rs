//! Many datagrams a system call.

mod receive;
mod send;

pub(super) use receive::Receiver;
pub(super) use send::Sender;
