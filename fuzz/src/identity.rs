//! Certificates: good ones, altered.

use std::sync::OnceLock;

use e2ee_core::group::Profile;
use e2ee_core::identity::{TrustRoot, Use, decode_chain, encode_chain};
use e2ee_core::time::UnixMillis;
use simulator::ca::{Ca, Request};
use simulator::service::ServiceKey;

use crate::Input;

struct Good {
    root: TrustRoot,
    chain: Vec<u8>,
    now: UnixMillis,
}

fn good() -> &'static Good {
    static GOOD: OnceLock<Good> = OnceLock::new();
    GOOD.get_or_init(|| {
        let now = simulator::start_of_time();
        let ca = Ca::new(now);
        let request = Request::person("Alice", "a", "d1", now);
        let leaf = ca.issue(&request, &ServiceKey::new(Profile::Standard, 5).public());
        Good {
            root: ca.root(),
            chain: encode_chain(&[leaf]).unwrap(),
            now,
        }
    })
}

/// IDEN-2: of a certificate not a byte may differ, nor of the chain's encoding.
pub fn certificate(data: &[u8]) {
    let Good { root, chain, now } = good();
    // As it comes, too.
    let _ = decode_chain(data).map(|chain| root.check(&chain, Use::Person, *now));
    let _ = root.check(&[data], Use::Person, *now);
    let _ = TrustRoot::pin(data, root.hash());

    let mut input = Input::new(data);
    let mut altered = chain.clone();
    while !input.is_empty() {
        input.alter(&mut altered);
    }
    let checked = decode_chain(&altered)
        .ok()
        .and_then(|chain| root.check(&chain, Use::Person, *now).ok());
    assert_eq!(
        checked.is_some(),
        altered == *chain,
        "an altered chain is refused, and the good one is not"
    );
}
