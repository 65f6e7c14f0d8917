//! The short-lived token by which the key server admits a participant to the relay.
//!
//! A JWT in compact form (RFC 7519, RFC 7515) narrowed until nothing is left to choose: the header is one constant, compared byte for
//! byte, so there is no algorithm negotiation, no key id and no `none` (RFC 8725 section 3.1); the signature is Ed25519 (RFC 8037).
//!
//! The key server signs with a key that lives in its token (HSM), therefore [`encode`] takes the signing operation as a closure.
//! The relay holds the public key alone, in a [`Verifier`]. Neither reads a clock: the time is an argument.
//!
//! ```
//! use relay_token::{Claims, Rights, Source, Verifier, encode};
//! use ring::signature::{Ed25519KeyPair, KeyPair};
//!
//! let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("32 bytes");
//! let claims = Claims {
//!     room: "r-51".into(),
//!     participant: "p-9".into(),
//!     rights: Rights { publish: vec![Source::Microphone, Source::Camera], subscribe: true },
//!     nbf: 1_000,
//!     exp: 1_060,
//!     jti: "one-of-a-kind".into(),
//! };
//! let token = encode(&claims, |bytes| Ok::<_, std::convert::Infallible>(pair.sign(bytes).as_ref().to_vec()))?;
//! let mut public_key = [0; 32];
//! public_key.copy_from_slice(pair.public_key().as_ref());
//! assert_eq!(Verifier::new(public_key).verify(&token, 1_001)?, claims);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod claims;
mod jws;

pub use claims::{Claims, Rights, Source};
pub use jws::{EncodeError, HEADER, MAX_LIFETIME, MAX_SKEW, MAX_TOKEN, TokenError, Verifier, encode};
