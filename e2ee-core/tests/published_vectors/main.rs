//! The vectors in docs/vectors: that they are what this code makes, and that reading them gives what they say.
//!
//! `CONCLAVE_WRITE_VECTORS=1 cargo test -p e2ee-core --test published_vectors` writes them anew.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod document;
mod mls;
mod ratchet;
mod refused;
mod shells;

use document::Document;

fn documents() -> [Document; 4] {
    [
        ratchet::document(),
        mls::document(),
        shells::document(),
        refused::document(),
    ]
}

/// Drift in either direction is a change of the protocol: raise the format's version or take it back.
#[test]
fn pf_39_the_published_vectors_are_what_this_code_makes() {
    for document in documents() {
        if document::writing() {
            document.write();
        }
        assert_eq!(document.published(), document.text(), "{}", document.name);
    }
}

#[test]
fn sfrm_8_the_published_ratchets_come_out() {
    ratchet::check(&documents()[0].parsed());
}

#[test]
fn sfrm_5_the_published_keys_of_mls_groups_come_out() {
    mls::check(&documents()[1].parsed());
}

#[test]
fn shel_5_the_published_shells_are_put_on_and_taken_off() {
    shells::check(&documents()[2].parsed());
}

#[test]
fn pf_39_what_the_published_negative_cases_say_is_refused_for_the_reason_they_say() {
    refused::check(&documents()[3].parsed());
}
