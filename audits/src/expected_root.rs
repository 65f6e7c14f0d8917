//! The trust root as the auditor names it: the one fact that cannot come from the evidence.

use std::str::FromStr;

use e2ee_core::group::Profile;
use e2ee_core::wire::Bytes;

use crate::Error;

/// SHA-256 of the root certificate's DER, from the auditor's own hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedRoot {
    pub hash: [u8; 32],
    /// The room, where a whole link was given.
    pub room: Option<String>,
    /// The algorithms that the link pins; none where only the hash was given.
    pub profile: Option<Profile>,
}

impl ExpectedRoot {
    pub fn new(hash: [u8; 32]) -> Self {
        Self {
            hash,
            room: None,
            profile: None,
        }
    }

    /// As a link's fragment has it.
    pub fn to_base64(&self) -> String {
        Bytes(self.hash.to_vec()).to_base64()
    }
}

impl FromStr for ExpectedRoot {
    type Err = Error;

    /// base64url (43 characters), hex (64 digits), or a room's link, whose fragment it is.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (link, hash) = match text.split_once('#') {
            Some((link, hash)) => (Some(link), hash),
            None => (None, text),
        };
        // CLNT-8: a link without a profile means `standard`.
        let (hash, profile) = match (link, hash.split_once('.')) {
            (Some(_), None) => (hash, Some(Profile::Standard)),
            (Some(_), Some((hash, name))) if name != Profile::Standard.name() => {
                (hash, Some(Profile::from_name(name)?))
            }
            (None, None) => (hash, None),
            _ => return Err(Error::RootHash),
        };
        let bytes = if hash.len() == 64 {
            hex::decode(hash).ok()
        } else {
            Bytes::from_base64(hash).ok().map(|bytes| bytes.0)
        };
        let hash = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(Error::RootHash)?;
        let room = match link {
            None | Some("") => None,
            Some(link) => Some(link.rsplit_once("/m/").ok_or(Error::RootHash)?.1.to_owned()),
        };
        Ok(Self { hash, room, profile })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audt_2_a_root_is_named_by_base64url_hex_or_link() {
        let hash = [0xfb; 32];
        let base64 = ExpectedRoot::new(hash).to_base64();
        assert_eq!(base64.len(), 43);
        for text in [base64.clone(), hex::encode(hash), hex::encode_upper(hash)] {
            assert_eq!(text.parse::<ExpectedRoot>().unwrap(), ExpectedRoot::new(hash), "{text}");
        }
        let link: ExpectedRoot = format!("http://localhost:8440/m/r-1#{base64}").parse().unwrap();
        assert_eq!((link.hash, link.room.as_deref()), (hash, Some("r-1")));
        assert_eq!(link.profile, Some(Profile::Standard));
        let fips: ExpectedRoot = format!("http://localhost:8440/m/r-1#{base64}.fips").parse().unwrap();
        assert_eq!((fips.hash, fips.profile), (hash, Some(Profile::Fips)));
        let fragment: ExpectedRoot = format!("#{base64}").parse().unwrap();
        assert_eq!((fragment.hash, fragment.room), (hash, None));
    }

    #[test]
    fn audt_2_anything_else_is_refused() {
        let base64 = ExpectedRoot::new([0xfb; 32]).to_base64();
        for text in [
            "",
            "#",
            &base64[1..],
            &format!("{base64}="),
            &"g".repeat(64),
            &format!("http://x/#{base64}"),
            &format!("{base64}.fips"),
            &format!("http://x/m/r#{base64}.weaker"),
        ] {
            assert!(text.parse::<ExpectedRoot>().is_err(), "{text}");
        }
    }
}
