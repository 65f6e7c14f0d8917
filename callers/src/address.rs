//! Addresses: of proxies, of those behind them, and of what counts as one client.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// An address, or all that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// What a network is written like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an IP address such as 192.0.2.7, or a network such as 10.0.0.0/8 or 2001:db8::/32")]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| NotANetwork)?
            }
            Some(_) => return Err(NotANetwork),
            None => whole,
        };
        if prefix > whole {
            return Err(NotANetwork);
        }
        Ok(Network { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Network {
    /// Whether `address` is in it. An IPv4 address is the same in its IPv6 form (RFC 4291 section 2.5.5.2).
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        // Both aligned to the left of 128 bits, so that one comparison does for both families.
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        };
        let address = address.to_canonical();
        let differs = bits(self.address) ^ bits(address);
        self.address.is_ipv4() == address.is_ipv4() && differs.leading_zeros() >= u32::from(self.prefix)
    }
}

/// The reverse proxies that are believed when they say for whom they ask. None by default: then nobody is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies(Vec<Network>);

impl FromIterator<Network> for Proxies {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        Proxies(networks.into_iter().collect())
    }
}

impl Proxies {
    /// The address of the client that a request is of. `peer` is whom the connection is with, `forwarded_for` the lines of
    /// `X-Forwarded-For`: each proxy adds at the end whom it was asked by. So it is read from the end, for as long as who wrote it is one of
    /// ours; what a client put in front of that counts for nothing.
    #[must_use]
    pub fn client<'a>(&self, peer: IpAddr, forwarded_for: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
        let mut client = peer.to_canonical();
        for said in forwarded_for.rev().flat_map(|line| line.rsplit(',')) {
            if !self.0.iter().any(|proxy| proxy.contains(client)) {
                break;
            }
            let Some(address) = address_in(said.trim()) else { break };
            client = address.to_canonical();
        }
        client
    }
}

/// Some proxies add the port.
fn address_in(said: &str) -> Option<IpAddr> {
    let with_port = || said.parse().map(|address: std::net::SocketAddr| address.ip());
    let in_brackets = || said.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    said.parse().ok().or_else(|| with_port().ok()).or_else(in_brackets)
}

/// The same for all addresses that one client may have: an IPv4 address, or the /64 that an IPv6 client has to itself (RFC 4291
/// section 2.5.4, RFC 6177).
#[must_use]
pub fn one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_hold_what_begins_alike_and_nothing_else() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.0/25", "192.0.2.127", "192.0.2.128"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::10.1.1.1"),
            ("0.0.0.0/0", "203.0.113.1", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::/0", "2001:db8::1", "192.0.2.7"),
            ("::1", "::1", "::2"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(ip(inside)), "{inside} in {network}");
            assert!(!parsed.contains(ip(outside)), "{outside} in {network}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
        for wrong in [
            "",
            "proxy.example",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0/8",
            "1.2.3.4:80",
        ] {
            assert_eq!(wrong.parse::<Network>(), Err(NotANetwork), "{wrong}");
        }
    }

    fn client(proxies: &[&str], peer: &str, lines: &[&str]) -> IpAddr {
        let proxies: Proxies = proxies
            .iter()
            .map(|network| network.parse::<Network>().unwrap())
            .collect();
        proxies.client(ip(peer), lines.iter().copied())
    }

    #[test]
    fn pf_01_who_is_no_proxy_of_ours_is_not_believed() {
        assert_eq!(
            client(&[], "127.0.0.1", &["203.0.113.9"]),
            ip("127.0.0.1"),
            "off by default"
        );
        assert_eq!(
            client(&["10.0.0.1"], "198.51.100.4", &["203.0.113.9"]),
            ip("198.51.100.4")
        );
    }

    #[test]
    fn pf_01_of_what_our_proxies_say_the_last_that_is_none_of_them_counts() {
        let ours = ["10.0.0.0/8", "::1"];
        for (lines, expected) in [
            (&[][..], "10.0.0.1"),
            (&["203.0.113.9"], "203.0.113.9"),
            // A client that writes a header of its own gets its own address behind it.
            (&["192.0.2.1, 203.0.113.9"], "203.0.113.9"),
            (&["192.0.2.1", "203.0.113.9 , 10.0.0.2"], "203.0.113.9"),
            (&["10.3.3.3, 203.0.113.9, ::1,10.0.0.2"], "203.0.113.9"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["203.0.113.9:1234"], "203.0.113.9"),
            (&["[2001:db8::5]:1234"], "2001:db8::5"),
            (&["[2001:db8::5]"], "2001:db8::5"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
            // What cannot be read is not skipped: before it, anything may stand.
            (&["192.0.2.1, unknown"], "10.0.0.1"),
            (&["192.0.2.1, "], "10.0.0.1"),
            (&["192.0.2.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ] {
            assert_eq!(client(&ours, "::ffff:10.0.0.1", lines), ip(expected), "{lines:?}");
        }
    }

    #[test]
    fn pf_01_all_addresses_of_one_client_are_one() {
        let same = |a: &str, b: &str| one_client(ip(a)) == one_client(ip(b));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("192.0.2.1", "::ffff:192.0.2.1"));
        assert!(!same("::ffff:192.0.2.1", "::ffff:192.0.2.2"), "no /64 of all IPv4");
    }
}
