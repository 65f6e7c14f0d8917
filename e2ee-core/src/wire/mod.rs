//! What travels between clients, key server and auditors outside MLS itself. Versioned, strict, no secrets.

pub mod bytes;
pub mod delivery;
pub mod http;
pub mod receipt;
mod server_message;
pub mod transcript;

pub use bytes::Bytes;
pub use receipt::Receipt;
