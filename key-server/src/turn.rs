//! Time-limited credentials for an external TURN server, by the scheme that coturn calls `use-auth-secret`: the user name says until when
//! it is good, the password is its HMAC under a secret that both servers know.
//!
//! SHA-1, because that is what coturn computes; as an HMAC it is not weakened by what is known of SHA-1.
//!
//! Requirements held here: RELY-50.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2ee_core::time::UnixMillis;
use e2ee_core::wire::delivery::IceServer;
use ring::hmac;
use zeroize::Zeroizing;

/// How long credentials are good for. A connected client gets new ones with every relay token, long before; the server asks for them when
/// something is allocated.
const LIFETIME_SECONDS: u64 = 3_600;
/// Anything shorter can be guessed from one credential.
const MIN_SECRET: usize = 16;

/// A TURN server and the secret shared with it.
#[derive(Clone)]
pub struct Turn {
    urls: Vec<String>,
    secret: Zeroizing<String>,
}

/// Why these are no TURN settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TurnError {
    #[error(
        "{0:?} is no address of a TURN server: turn:HOST[:PORT][?transport=udp|tcp] or turns:HOST[:PORT][?transport=tcp]"
    )]
    Url(String),
    #[error("the TURN secret has {0} characters, it must have at least {MIN_SECRET}")]
    Secret(usize),
}

impl Turn {
    /// `urls` as `RTCPeerConnection` takes them (RFC 7065); `secret` as in coturn's `static-auth-secret`.
    pub fn new(urls: Vec<String>, secret: &str) -> Result<Self, TurnError> {
        if let Some(wrong) = urls.iter().find(|url| !is_turn_url(url)) {
            return Err(TurnError::Url(wrong.clone()));
        }
        if secret.len() < MIN_SECRET {
            return Err(TurnError::Secret(secret.len()));
        }
        Ok(Turn {
            urls,
            secret: Zeroizing::new(secret.to_owned()),
        })
    }

    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Credentials for one person. The id is opaque, and the TURN server sees it.
    pub(crate) fn issue(&self, participant: &str, now: UnixMillis) -> IceServer {
        let username = format!("{}:{participant}", now.as_secs() + LIFETIME_SECONDS);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.secret.as_bytes());
        let credential = STANDARD.encode(hmac::sign(&key, username.as_bytes()));
        IceServer {
            urls: self.urls.clone(),
            username,
            credential,
        }
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// RFC 7065, as far as anybody uses it.
fn is_turn_url(url: &str) -> bool {
    let (rest, secure) = match (url.strip_prefix("turn:"), url.strip_prefix("turns:")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return false,
    };
    let (place, query) = rest
        .split_once('?')
        .map_or((rest, None), |(place, query)| (place, Some(query)));
    let transport = match query {
        None | Some("transport=tcp") => true,
        Some("transport=udp") => !secure,
        Some(_) => false,
    };
    let (host, port) = match place.rsplit_once(':') {
        // The colons of an address in brackets are its own.
        Some((host, port)) if !place.ends_with(']') => (host, Some(port)),
        _ => (place, None),
    };
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(allowed),
    };
    transport && host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "north-star-of-the-sea";

    #[test]
    fn rely_50_credentials_are_those_that_coturn_computes() {
        let turn = Turn::new(vec!["turns:turn.example:5349".into()], SECRET).unwrap();
        let server = turn.issue("abc", UnixMillis(1_700_000_000_000));
        assert_eq!(server.username, "1700003600:abc");
        // printf 1700003600:abc | openssl dgst -sha1 -hmac north-star-of-the-sea -binary | base64
        assert_eq!(server.credential, "3ut55WDkXLgFGRXu8oDIHufWU8g=");
        assert_eq!(server.urls, ["turns:turn.example:5349"]);
        let another = turn.issue("abd", UnixMillis(1_700_000_000_000));
        assert_ne!(another.credential, server.credential);
    }

    #[test]
    fn rely_50_neither_secret_nor_credential_can_be_printed() {
        let turn = Turn::new(vec!["turn:turn.example".into()], SECRET).unwrap();
        let server = turn.issue("abc", UnixMillis(0));
        let printed = format!("{turn:?} {server:?}");
        assert!(
            !printed.contains(SECRET) && !printed.contains(&server.credential),
            "{printed}"
        );
    }

    #[test]
    fn rely_50_what_is_no_turn_server_or_no_secret_is_refused_by_name() {
        for good in [
            "turn:turn.example",
            "turn:192.0.2.1:3478?transport=udp",
            "turn:[2001:db8::1]:3478?transport=tcp",
            "turn:[2001:db8::1]",
            "turns:turn.example:443?transport=tcp",
        ] {
            assert!(Turn::new(vec![good.into()], SECRET).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "stun:turn.example",
            "turn.example:3478",
            "turn:",
            "turn://turn.example",
            "turn:turn.example:0",
            "turn:turn.example:70000",
            "turn:turn.example?transport=sctp",
            "turns:turn.example?transport=udp",
            "turn:user@turn.example",
            "turn:[::zz]:1",
        ] {
            let refused = Turn::new(vec!["turn:ok.example".into(), wrong.into()], SECRET);
            assert_eq!(refused.unwrap_err(), TurnError::Url(wrong.into()));
        }
        let refused = Turn::new(vec!["turn:turn.example".into()], "short").unwrap_err();
        assert_eq!(refused, TurnError::Secret(5));
        assert!(!refused.to_string().contains("short"));
    }
}
