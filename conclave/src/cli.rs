//! The command line. Every option can also be given by environment; `--help` says its name.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::sfu::values::{Address, Network, Seconds, Tcp, Threads, TokenKey};

#[derive(Debug, Parser)]
#[command(
    name = "conclave",
    version,
    about = "End-to-end encrypted meetings that an organisation runs itself and an auditor can check",
    after_help = "Start here: `conclave up` runs everything on this machine and prints the address to open.",
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

impl Command {
    /// How to log, if that is known at once. The audit does not: all that it has to say is its report. The relay's file may say.
    pub(crate) fn log_filter(&self) -> Option<Option<&str>> {
        match self {
            Self::Up(args) => Some(args.logging.log.as_deref()),
            Self::KeyServer(args) => Some(args.logging.log.as_deref()),
            Self::Sfu(_) | Self::Audit(_) => None,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole meeting system in one process: key server, relay and web app
    Up(UpArgs),
    /// Run the key server alone: rooms, identity, delivery service, log and web app
    KeyServer(KeyServerArgs),
    /// Run the blind relay (SFU) alone
    Sfu(SfuArgs),
    /// Check evidence offline, trusting neither the server nor the operator
    Audit(audits::cli::AuditArgs),
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub service: ServiceArgs,
    #[command(flatten)]
    pub media: MediaArgs,
    #[command(flatten)]
    pub turn: TurnArgs,
    /// Delete the data folder first: rooms, log, and the token with all its keys
    #[arg(long)]
    pub fresh: bool,
    #[command(flatten)]
    pub logging: LoggingArgs,
}

#[derive(Debug, Args)]
pub(crate) struct KeyServerArgs {
    #[command(flatten)]
    pub service: ServiceArgs,
    /// Where clients reach the relay's signalling: a ws:// or wss:// address
    #[arg(long, env = "CONCLAVE_RELAY_URL", value_name = "URL")]
    pub relay_url: String,
    #[command(flatten)]
    pub turn: TurnArgs,
    #[command(flatten)]
    pub logging: LoggingArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A setting is taken from its flag, else from its environment variable, else from the file, else it is the default."
)]
pub(crate) struct SfuArgs {
    /// Configuration file (TOML); docs/sfu.example.toml has every key. Unknown keys are refused
    #[arg(long, env = "CONCLAVE_SFU_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the configuration that would be used, and who set what, and do nothing else
    #[arg(long)]
    pub check: bool,
    /// Address of the signalling WebSocket (`/relay/v1`) [default: 127.0.0.1:8444]
    #[arg(long, env = "CONCLAVE_SFU_LISTEN", value_name = "ADDR:PORT")]
    pub listen: Option<Address>,
    /// Reverse proxies in front of signalling whose X-Forwarded-For is believed, for limits per address: addresses or networks [default: none]
    #[arg(
        long,
        env = "CONCLAVE_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_name = "IP|NET,..."
    )]
    pub trusted_proxies: Option<Vec<Network>>,
    /// The key server's token key: 64 hex digits, printed by `conclave key-server` at start
    #[arg(long, env = "CONCLAVE_TOKEN_KEY", value_name = "HEX")]
    pub token_key: Option<TokenKey>,
    /// UDP address for media, one port for all; 0.0.0.0 and [::] mean both families [default: 0.0.0.0:8441]
    #[arg(long, env = "CONCLAVE_MEDIA", value_name = "ADDR:PORT")]
    pub media: Option<Address>,
    /// TCP address for media of those whom UDP does not reach, or `off` [default: that of UDP]
    #[arg(long, env = "CONCLAVE_MEDIA_TCP", value_name = "ADDR:PORT|off")]
    pub media_tcp: Option<Tcp>,
    /// Addresses by which clients reach this machine [default: loopback and that of the default route]
    #[arg(long, env = "CONCLAVE_PUBLIC_IP", value_delimiter = ',', value_name = "IP,...")]
    pub public_ip: Option<Vec<IpAddr>>,
    /// Threads that forward, each with whole rooms, or `auto` for one a core [default: auto]
    #[arg(long, env = "CONCLAVE_SFU_THREADS", value_name = "COUNT|auto")]
    pub threads: Option<Threads>,
    /// Address for `/metrics` (Prometheus) and `/health`; not served without it. Let operators reach it, and nobody else
    #[arg(long, env = "CONCLAVE_SFU_OPERATIONS", value_name = "ADDR:PORT")]
    pub operations: Option<Address>,
    /// Seconds that people may stay when the relay is asked to stop; they are told to find another, and nobody new is let in [default: 0]
    #[arg(long, env = "CONCLAVE_SFU_DRAIN", value_name = "SECONDS")]
    pub drain: Option<Seconds>,
    #[command(flatten)]
    pub logging: LoggingArgs,
}

/// Not a global option: for an audit, `--log` is the transparency log's folder.
#[derive(Debug, Args)]
pub(crate) struct LoggingArgs {
    /// What to log, e.g. `info` or `key_server=debug,sfu_relay=info` (default: info). Logs hold no key, no media,
    /// no name; opaque ids from debug on
    #[arg(long, env = "CONCLAVE_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    /// Address for HTTP and WebSockets. Browsers give a camera to pages from localhost or over TLS only
    #[arg(
        long,
        env = "CONCLAVE_LISTEN",
        default_value = "127.0.0.1:8440",
        value_name = "ADDR:PORT"
    )]
    pub listen: SocketAddr,
    /// Where everything is kept: database, log, token
    #[arg(long, env = "CONCLAVE_DATA", default_value = "data", value_name = "FOLDER")]
    pub data: PathBuf,
    /// The built web app
    #[arg(long, env = "CONCLAVE_WEB", value_name = "FOLDER")]
    pub web: PathBuf,
    /// Reverse proxies whose X-Forwarded-For is believed, for limits per address: addresses or networks, with commas [default: none]
    #[arg(
        long,
        env = "CONCLAVE_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_name = "IP|NET,..."
    )]
    pub trusted_proxies: Vec<Network>,
    /// Name of the organisation, as it stands in its certificates. Taken at the first start only
    #[arg(long, env = "CONCLAVE_ORG", default_value = "Conclave", value_name = "NAME")]
    pub org: String,
    /// Where the issuing and log keys live
    #[arg(long, env = "CONCLAVE_KEYSTORE", default_value = "auto", value_name = "KIND")]
    pub keystore: KeystoreKind,
    /// PKCS#11 module of the HSM (with `--keystore pkcs11`)
    #[arg(
        long,
        env = "CONCLAVE_PKCS11_MODULE",
        value_name = "FILE",
        required_if_eq("keystore", "pkcs11")
    )]
    pub pkcs11_module: Option<PathBuf>,
    /// Label of the HSM's token (with `--keystore pkcs11`)
    #[arg(
        long,
        env = "CONCLAVE_PKCS11_TOKEN",
        value_name = "LABEL",
        required_if_eq("keystore", "pkcs11")
    )]
    pub pkcs11_token: Option<String>,
    /// File with the user PIN of the HSM's token (with `--keystore pkcs11`)
    #[arg(
        long,
        env = "CONCLAVE_PKCS11_PIN_FILE",
        value_name = "FILE",
        required_if_eq("keystore", "pkcs11")
    )]
    pub pkcs11_pin_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct MediaArgs {
    /// UDP address for media, one port for all; 0.0.0.0 and [::] mean both families
    #[arg(
        long,
        env = "CONCLAVE_MEDIA",
        default_value = "0.0.0.0:8441",
        value_name = "ADDR:PORT"
    )]
    pub media: Address,
    /// TCP address for media of those whom UDP does not reach, or `off` [default: that of UDP]
    #[arg(long, env = "CONCLAVE_MEDIA_TCP", value_name = "ADDR:PORT|off")]
    pub media_tcp: Option<Tcp>,
    /// Addresses that clients are told to send media to
    #[arg(
        long,
        env = "CONCLAVE_PUBLIC_IP",
        value_delimiter = ',',
        default_value = "127.0.0.1",
        value_name = "IP,..."
    )]
    pub public_ip: Vec<IpAddr>,
    /// Threads that forward media, or `auto` for one a core
    #[arg(
        long,
        env = "CONCLAVE_SFU_THREADS",
        default_value = "auto",
        value_name = "COUNT|auto"
    )]
    pub threads: Threads,
    /// Seconds that people may stay when it is asked to stop; they are told, and nobody new is let in
    #[arg(long, env = "CONCLAVE_SFU_DRAIN", default_value = "0", value_name = "SECONDS")]
    pub drain: Seconds,
}

/// TURN, for those whom neither UDP nor TCP reaches the relay.
#[derive(Debug, Args)]
pub(crate) struct TurnArgs {
    /// TURN server of yours, as members' browsers reach it: turns:HOST:PORT?transport=tcp, turn:HOST:PORT. Several with commas
    #[arg(long, env = "CONCLAVE_TURN_URL", value_delimiter = ',', value_name = "URL,...")]
    pub turn_url: Vec<String>,
    /// File with the secret shared with the TURN server (coturn: static-auth-secret); or CONCLAVE_TURN_SECRET in the environment
    #[arg(long, env = "CONCLAVE_TURN_SECRET_FILE", value_name = "FILE")]
    pub turn_secret_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeystoreKind {
    /// SoftHSM2 where it is installed, else software, loudly
    Auto,
    /// A SoftHSM2 token in the data folder
    Softhsm,
    /// An HSM by its PKCS#11 module
    Pkcs11,
    /// Key files in the data folder: for a first try only
    Software,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn log_is_a_filter_for_services_and_a_folder_for_audits() {
        let up = parse("conclave up --web dist --log debug").unwrap();
        assert_eq!(up.command.log_filter(), Some(Some("debug")));
        let hash = "0".repeat(64);
        let audit = parse(&format!(
            "conclave audit transcript --bundle b.json --log data/log --root {hash}"
        ))
        .unwrap();
        assert_eq!(audit.command.log_filter(), None);
    }
}
