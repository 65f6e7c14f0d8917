//! What the relay's settings may be. One way to read each, whether it comes from a flag, the environment or the file, and one sentence that
//! says what is allowed.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

/// Threads that the relay can tell apart.
const MAX_THREADS: usize = 64;
const MAX_SECONDS: u64 = 86_400;

/// Why a value is refused: what would be allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub(crate) struct MustBe(&'static str);

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) SocketAddr);

impl FromStr for Address {
    type Err = MustBe;

    fn from_str(text: &str) -> Result<Self, MustBe> {
        let address = text
            .parse()
            .map_err(|_| MustBe("ADDRESS:PORT, such as 0.0.0.0:8441 or [::]:8441"));
        address.map(Address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether and where media is taken by TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tcp {
    Off,
    At(SocketAddr),
}

impl FromStr for Tcp {
    type Err = MustBe;

    fn from_str(text: &str) -> Result<Self, MustBe> {
        if text == "off" {
            return Ok(Tcp::Off);
        }
        let address = text
            .parse()
            .map_err(|_| MustBe("ADDRESS:PORT, such as 0.0.0.0:8441, or off"));
        address.map(Tcp::At)
    }
}

impl fmt::Display for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tcp::Off => f.write_str("off"),
            Tcp::At(address) => address.fmt(f),
        }
    }
}

/// How many threads forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Threads(pub(crate) Option<NonZeroUsize>);

impl FromStr for Threads {
    type Err = MustBe;

    fn from_str(text: &str) -> Result<Self, MustBe> {
        if text == "auto" {
            return Ok(Threads(None));
        }
        let count: Option<NonZeroUsize> = text.parse().ok();
        match count.filter(|count| count.get() <= MAX_THREADS) {
            Some(count) => Ok(Threads(Some(count))),
            None => Err(MustBe("auto (one a core) or a number from 1 to 64")),
        }
    }
}

impl fmt::Display for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) => count.fmt(f),
            None => f.write_str("auto"),
        }
    }
}

/// The public half of the key server's token key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenKey(pub(crate) [u8; 32]);

impl FromStr for TokenKey {
    type Err = MustBe;

    fn from_str(text: &str) -> Result<Self, MustBe> {
        let mut key = [0; 32];
        let read = hex::decode_to_slice(text, &mut key);
        read.map_err(|_| MustBe("64 hex digits, as `conclave key-server` prints them at start"))?;
        Ok(TokenKey(key))
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Of a reverse proxy, or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network(pub(crate) callers::Network);

impl FromStr for Network {
    type Err = MustBe;

    fn from_str(text: &str) -> Result<Self, MustBe> {
        let network = text.parse();
        network.map(Network).map_err(|callers::NotANetwork| {
            MustBe("an IP address such as 192.0.2.7, or a network such as 10.0.0.0/8 or 2001:db8::/32")
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A time to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) u64);

impl FromStr for Seconds {
    type Err = MustBe;

    fn from_str(text: &str) -> Result<Self, MustBe> {
        let seconds = text.parse().ok().filter(|seconds| *seconds <= MAX_SECONDS);
        seconds
            .map(Seconds)
            .ok_or(MustBe("a whole number of seconds from 0 to 86400"))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text or a whole number of the file, read as the flag would be.
fn read<'de, D: Deserializer<'de>, T: FromStr<Err = MustBe>>(deserializer: D) -> Result<T, D::Error> {
    struct Scalar;

    impl Visitor<'_> for Scalar {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a whole number")
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_i64<E>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_u64<E>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }

    let text = deserializer.deserialize_any(Scalar)?;
    text.parse()
        .map_err(|error: MustBe| D::Error::custom(format_args!("{text:?} is not allowed: it {error}")))
}

macro_rules! read_as_flags_are {
    ($($type:ty),*) => {
        $(impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read(deserializer)
            }
        })*
    };
}

read_as_flags_are!(Address, Network, Tcp, Threads, TokenKey, Seconds);

#[cfg(test)]
mod tests {
    use super::*;

    fn reads<T: FromStr<Err = MustBe> + fmt::Display>(good: &[&str], wrong: &[&str]) {
        for text in good {
            assert_eq!(text.parse::<T>().unwrap().to_string(), *text);
        }
        for text in wrong {
            assert!(text.parse::<T>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn rely_51_each_value_is_read_as_it_is_written_and_nothing_else_is() {
        reads::<Network>(
            &["192.0.2.7/32", "10.0.0.0/8", "::1/128"],
            &["", "proxy.example", "10.0.0.0/33"],
        );
        reads::<Address>(
            &["0.0.0.0:8441", "[::]:1"],
            &["", "8441", "localhost:1", "0.0.0.0:70000", "::1:1"],
        );
        reads::<Tcp>(&["off", "127.0.0.1:0"], &["", "on", "Off", "8441"]);
        reads::<Threads>(&["auto", "1", "64"], &["", "0", "65", "-1", "1.5", "two"]);
        let key = "0a".repeat(32);
        let (short, long, no_hex) = ("0a".repeat(31), "0a".repeat(33), "zz".repeat(32));
        reads::<TokenKey>(&[&key], &["", "0a", &short, &long, &no_hex, &"é".repeat(32)]);
        reads::<Seconds>(&["0", "86400"], &["", "86401", "-1", "1m"]);
    }
}
