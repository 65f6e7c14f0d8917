//! One file a check, named after what it proves. Each takes evidence and writes into the [`Report`](crate::report::Report);
//! what a later check builds on is handed on as a value that only the earlier check can make.

pub(crate) mod certified_members;
pub(crate) mod certified_services;
pub(crate) mod logged_epochs;
pub(crate) mod nothing_withheld;
pub(crate) mod pinned_root;
pub(crate) mod replayed_handshake;
pub(crate) mod signed_log;
