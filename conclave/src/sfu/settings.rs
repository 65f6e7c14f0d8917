//! The relay's settings: flags and environment first, then the file, then what is usual.
//!
//! Requirements held here: RELY-51.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use sfu_relay::Config;

use super::values::{Address, Network, Seconds, Tcp, Threads, TokenKey};
use crate::cli::SfuArgs;

/// The configuration file. What it does not know it refuses: a misspelt key is a setting that somebody believes in.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    signalling: Signalling,
    media: Media,
    operations: Operations,
    log: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Signalling {
    listen: Option<Address>,
    token_key: Option<TokenKey>,
    trusted_proxies: Option<Vec<Network>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Media {
    udp: Option<Address>,
    tcp: Option<Tcp>,
    public: Option<Vec<IpAddr>>,
    threads: Option<Threads>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Operations {
    listen: Option<Address>,
    drain: Option<Seconds>,
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    FlagOrEnvironment,
    File,
    Usual,
}

#[derive(Debug)]
struct Setting<T> {
    value: T,
    from: From,
}

/// Everything decided.
#[derive(Debug)]
pub(crate) struct Settings {
    listen: Setting<SocketAddr>,
    token_key: Setting<TokenKey>,
    trusted_proxies: Setting<Vec<Network>>,
    udp: Setting<SocketAddr>,
    tcp: Setting<Tcp>,
    public: Setting<Vec<IpAddr>>,
    threads: Setting<Threads>,
    operations: Setting<Option<SocketAddr>>,
    drain: Setting<Seconds>,
    log: Setting<Option<String>>,
}

fn choose<T>(given: Option<T>, file: Option<T>, usual: impl FnOnce() -> T) -> Setting<T> {
    match (given, file) {
        (Some(value), _) => Setting {
            value,
            from: From::FlagOrEnvironment,
        },
        (None, Some(value)) => Setting {
            value,
            from: From::File,
        },
        (None, None) => Setting {
            value: usual(),
            from: From::Usual,
        },
    }
}

impl Settings {
    pub(crate) fn gather(args: &SfuArgs) -> Result<Self> {
        let file = match &args.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        Self::decide(args, file)
    }

    fn decide(args: &SfuArgs, file: File) -> Result<Self> {
        let socket = |address: Option<Address>| address.map(|address| address.0);
        let Some(token_key) = args.token_key.or(file.signalling.token_key) else {
            bail!(
                "there is no token key: give --token-key, CONCLAVE_TOKEN_KEY, or token_key under [signalling] in the file; \
                 it is 64 hex digits, which `conclave key-server` prints at start"
            );
        };
        let udp = choose(socket(args.media), socket(file.media.udp), || {
            SocketAddr::from(([0, 0, 0, 0], 8441))
        });
        let public = choose(args.public_ip.clone(), file.media.public, Vec::new);
        check_public(udp.value, &public.value)?;
        let operations = choose(
            socket(args.operations).map(Some),
            socket(file.operations.listen).map(Some),
            || None,
        );
        Ok(Settings {
            listen: choose(socket(args.listen), socket(file.signalling.listen), || {
                SocketAddr::from(([127, 0, 0, 1], 8444))
            }),
            token_key: choose(args.token_key, file.signalling.token_key, || token_key),
            trusted_proxies: choose(args.trusted_proxies.clone(), file.signalling.trusted_proxies, Vec::new),
            tcp: choose(args.media_tcp, file.media.tcp, || Tcp::At(udp.value)),
            threads: choose(args.threads, file.media.threads, || Threads(None)),
            drain: choose(args.drain, file.operations.drain, || Seconds(0)),
            log: choose(args.logging.log.clone().map(Some), file.log.map(Some), || None),
            udp,
            public,
            operations,
        })
    }

    pub(crate) fn relay(&self) -> Config {
        let mut config = Config::new(self.udp.value, self.token_key.value.0);
        config.listen_tcp = match self.tcp.value {
            Tcp::Off => None,
            Tcp::At(address) => Some(address),
        };
        config.public_addresses.clone_from(&self.public.value);
        config.threads = self.threads.value.0;
        config.trusted_proxies = self.trusted_proxies.value.iter().map(|network| network.0).collect();
        config
    }

    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen.value
    }

    pub(crate) fn operations(&self) -> Option<SocketAddr> {
        self.operations.value
    }

    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain.value.0)
    }

    pub(crate) fn log(&self) -> Option<&str> {
        self.log.value.as_deref()
    }

    /// As a file that says the same, and who said each. The relay holds no secret: the token key is the public half.
    pub(crate) fn shown(&self) -> String {
        let mut out = String::new();
        let mut section = |name: &str, lines: &[(&str, String, From)]| {
            if !name.is_empty() {
                let _ = writeln!(out, "\n[{name}]");
            }
            for (key, value, from) in lines {
                let from = match from {
                    From::FlagOrEnvironment => "flag or environment",
                    From::File => "file",
                    From::Usual => "default",
                };
                let _ = writeln!(out, "{:<52} # {from}", format!("{key} = {value}"));
            }
        };
        let quoted = |text: &dyn std::fmt::Display| format!("{:?}", text.to_string());
        let log = self.log.value.as_deref().unwrap_or(crate::logging::USUAL);
        section("", &[("log", quoted(&log), self.log.from)]);
        let proxies: Vec<String> = self.trusted_proxies.value.iter().map(|n| quoted(n)).collect();
        section(
            "signalling",
            &[
                ("listen", quoted(&self.listen.value), self.listen.from),
                ("token_key", quoted(&self.token_key.value), self.token_key.from),
                (
                    "trusted_proxies",
                    format!("[{}]", proxies.join(", ")),
                    self.trusted_proxies.from,
                ),
            ],
        );
        let public: Vec<String> = self.public.value.iter().map(|ip| quoted(ip)).collect();
        section(
            "media",
            &[
                ("udp", quoted(&self.udp.value), self.udp.from),
                ("tcp", quoted(&self.tcp.value), self.tcp.from),
                ("public", format!("[{}]", public.join(", ")), self.public.from),
                ("threads", quoted(&self.threads.value), self.threads.from),
            ],
        );
        let mut operations = vec![("drain", self.drain.value.to_string(), self.drain.from)];
        if let Some(address) = self.operations.value {
            operations.insert(0, ("listen", quoted(&address), self.operations.from));
        }
        section("operations", &operations);
        out
    }
}

/// Addresses that clients are told and that this relay would not hear them at.
fn check_public(udp: SocketAddr, public: &[IpAddr]) -> Result<()> {
    for ip in public {
        if ip.is_unspecified() || ip.is_multicast() {
            bail!(
                "the public address {ip} is none that a client can send to: give the one by which this machine is reached"
            );
        }
        if !udp.ip().is_unspecified() && ip.is_ipv4() != udp.is_ipv4() {
            bail!(
                "the public address {ip} is of another family than the UDP address {udp}: listen on 0.0.0.0 or [::], which take both"
            );
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the configuration file {} cannot be read", path.display()))?;
    parse(&text).map_err(|error| anyhow!("the configuration file {}: {error}", path.display()))
}

fn parse(text: &str) -> Result<File, toml::de::Error> {
    toml::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    const KEY: &str = "0000000000000000000000000000000000000000000000000000000000000001";

    fn args(line: &str) -> SfuArgs {
        let words = ["conclave", "sfu"].into_iter().chain(line.split_whitespace());
        match Cli::try_parse_from(words).unwrap().command {
            Command::Sfu(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn settings(line: &str, file: &str) -> Result<Settings> {
        Settings::decide(&args(line), parse(file)?)
    }

    #[test]
    fn rely_51_flags_win_over_the_file_and_the_file_over_what_is_usual() {
        let file = format!(
            "[signalling]\ntoken_key = \"{KEY}\"\n[media]\nudp = \"127.0.0.1:1\"\nthreads = 3\n[operations]\ndrain = 7\n"
        );
        let settings = settings("--media 127.0.0.1:2", &file).unwrap();
        let relay = settings.relay();
        assert_eq!(relay.listen.port(), 2);
        assert_eq!(
            relay.listen_tcp,
            Some(relay.listen),
            "TCP goes with UDP unless it is told otherwise"
        );
        assert_eq!(relay.threads.map(|threads| threads.get()), Some(3));
        assert_eq!(settings.drain(), Duration::from_secs(7));
        assert_eq!(settings.listen().port(), 8444);
        assert_eq!(settings.operations(), None);
    }

    #[test]
    fn rely_51_what_is_shown_is_a_file_that_says_the_same() {
        let line = format!(
            "--token-key {KEY} --public-ip 192.0.2.1,2001:db8::1 --media-tcp off --drain 5 --operations 127.0.0.1:9 \
             --trusted-proxies 10.0.0.0/8,::1"
        );
        let first = settings(&line, "log = \"debug\"").unwrap();
        let again = settings("", &first.shown()).unwrap();
        let values = |settings: &Settings| {
            settings
                .shown()
                .lines()
                .map(|l| l.split('#').next().unwrap_or("").trim().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(values(&first), values(&again));
        assert!(first.shown().contains("# flag or environment") && first.shown().contains("# default"));
        assert!(again.relay().listen_tcp.is_none());
        let proxies = again.relay().trusted_proxies;
        assert_eq!(
            proxies.client([10, 1, 1, 1].into(), ["192.0.2.1"].into_iter()),
            IpAddr::from([192, 0, 2, 1])
        );
    }

    #[test]
    fn rely_51_the_example_file_is_one() {
        let example = include_str!("../../../docs/sfu.example.toml");
        let with_key = example.replace("# token_key = \"…\"", &format!("token_key = \"{KEY}\""));
        assert_ne!(with_key, example);
        settings("", &with_key).unwrap();
        // What is commented out is allowed too.
        let all: String = with_key
            .lines()
            .map(|line| {
                line.strip_prefix("# ")
                    .filter(|rest| rest.contains(" = "))
                    .unwrap_or(line)
                    .to_owned()
                    + "\n"
            })
            .collect();
        settings("", &all).unwrap();
    }

    #[test]
    fn rely_51_a_wrong_setting_is_refused_by_key_and_value_with_what_is_allowed() {
        for (file, said) in [
            ("[media]\nudp = \"8441\"", ["udp = \"8441\"", "ADDRESS:PORT"]),
            ("[media]\ntcp = \"no\"", ["tcp = \"no\"", "or off"]),
            ("[media]\nthreads = 0", ["threads = 0", "from 1 to 64"]),
            ("[media]\nthreads = 1.5", ["threads = 1.5", "whole number"]),
            ("[media]\npublic = [\"relay.example\"]", ["relay.example", "IP address"]),
            (
                "[signalling]\ntrusted_proxies = [\"proxy.example\"]",
                ["proxy.example", "IP address"],
            ),
            ("[media]\nudp_port = 1", ["udp_port", "expected one of"]),
            ("[medai]\nudp = \"0.0.0.0:1\"", ["medai", "expected one of"]),
            (
                "[signalling]\ntoken_key = \"12\"",
                ["token_key = \"12\"", "64 hex digits"],
            ),
            ("[operations]\ndrain = 100000", ["drain = 100000", "from 0 to 86400"]),
        ] {
            let words = format!("{:#}", settings(&format!("--token-key {KEY}"), file).unwrap_err());
            assert!(said.iter().all(|part| words.contains(part)), "{words}");
        }
        for (line, said) in [
            ("", "64 hex digits"),
            ("--token-key KEY --public-ip 0.0.0.0", "0.0.0.0"),
            ("--token-key KEY --media 127.0.0.1:1 --public-ip ::1", "family"),
        ] {
            let words = format!("{:#}", settings(&line.replace("KEY", KEY), "").unwrap_err());
            assert!(words.contains(said), "{words}");
        }
        for (line, said) in [
            ("--threads 65", ["--threads", "from 1 to 64"]),
            ("--media 1", ["--media", "ADDRESS:PORT"]),
            ("--token-key 1", ["--token-key", "64 hex digits"]),
        ] {
            let words = Cli::try_parse_from(["conclave", "sfu"].into_iter().chain(line.split(' ')));
            let words = words.unwrap_err().to_string();
            assert!(said.iter().all(|part| words.contains(part)), "{words}");
        }
    }
}
