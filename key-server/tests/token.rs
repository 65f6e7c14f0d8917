//! The key server on a real PKCS#11 token (SoftHSM2), end to end.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use hsm_adapter::{KeyLabel, Keystore as _, Pkcs11Keystore, softhsm};
use support::{TestServer, together, until};

/// Synchronous first: SoftHSM2 is told of its folder by environment, before there are threads.
#[test]
fn iden_2_two_people_meet_under_certificates_that_a_key_in_the_token_signed() {
    let folder = tempfile::tempdir().unwrap();
    let config = softhsm::provision(folder.path(), "key-server").unwrap();
    let keystore = Arc::new(Pkcs11Keystore::open(&config).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut server = TestServer::start_on(Some(keystore.clone()), |_| {}).await;
        let room = server.create_room().await;
        let ada = server.join(&room, "Ada").await;
        until("the group is made", || ada.see(|s| s.code.is_some())).await;
        let bob = server.join(&room, "Bob").await;
        together(&[&ada, &bob]).await;
        for label in ["root-ca", "delivery-service", "log", "relay-token"] {
            keystore.public_key(&KeyLabel::new(label).unwrap()).unwrap();
        }
        assert!(
            !server.folder.path().join("keys").exists(),
            "nothing was written beside the token"
        );
        server.stop().await;
        server.run().await;
        let cyd = server.join(&room, "Cyd").await;
        together(&[&ada, &bob, &cyd]).await;
    });
}
