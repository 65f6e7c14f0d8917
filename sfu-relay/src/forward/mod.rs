//! From one producer to its consumers: what was received, what each consumer gets of it, under which numbers.
//!
//! All decisions are made from RTP headers, the Dependency Descriptor and the sender's own word. Payload bytes are copied, never read.
//!
//! Requirements held here: RELY-12.

pub(crate) mod consumer;
pub(crate) mod demand;
pub(crate) mod keyframe;
pub(crate) mod layer;
pub(crate) mod loss;
pub(crate) mod producer;
pub(crate) mod reception;
mod repeat;
pub(crate) mod rewrite;
pub(crate) mod ring;
pub(crate) mod svc;
