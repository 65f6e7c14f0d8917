//! `conclave audit ...`: arguments, output, exit codes.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::expected_root::ExpectedRoot;
use crate::log_folder::LogFolder;
use crate::report::Report;
use crate::{Error, Verdict, blindness, log_audit, transcript};

/// Arguments of `conclave audit`.
#[derive(Debug, Args)]
#[command(
    about = "Check evidence offline, trusting neither the server nor the operator",
    after_help = "Exit codes: 0 every claim holds, 1 the evidence is wrong or incomplete, 2 the audit could not be run."
)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: Audit,
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Who could decrypt a meeting, and when: replay its handshake and compare it with the log
    #[command(after_help = TRANSCRIPT_HELP)]
    Transcript(TranscriptArgs),
    /// Is a log what its key signed: every entry, every tile, the checkpoint
    #[command(after_help = LOG_HELP)]
    Log(LogArgs),
    /// Did the relay see anything of what an encoder made (captures by test builds)
    #[command(after_help = BLINDNESS_HELP)]
    Blindness(BlindnessArgs),
}

const TRANSCRIPT_HELP: &str = "\
Example:
  conclave audit transcript --bundle meeting.json --log data/log \\
      --root 'https://meet.example.org/m/k3Jd...#Zf3bV0...'

The bundle comes from a participant (`GET /api/rooms/<room>/transcript`), the log's folder from the
operator or from anybody who has a copy of it. The root must come from neither: take it from the
room's link, as the participants got it. No network is used.";

const LOG_HELP: &str = "\
Examples:
  conclave audit log --log data/log --bundle meeting.json --root Zf3bV0...
  conclave audit log --log data/log --log-key meet.example.org/log+530d903a+AekyeRrm...";

const BLINDNESS_HELP: &str = "\
Example:
  conclave audit blindness --frames camera.frames --frames microphone.frames --relay tap/

Searches every 8 consecutive bytes of every encoder output in every payload the relay saw. Both
captures exist in test builds only. The shells' documented constants are left out, at their place.";

#[derive(Debug, Args)]
struct TranscriptArgs {
    /// The exported handshake, JSON
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// The transparency log's folder (with `checkpoint` and `tile/` in it)
    #[arg(long, value_name = "FOLDER")]
    log: PathBuf,
    /// SHA-256 of the organisation's root certificate: base64url, hex, or the room's whole link
    #[arg(long, value_name = "HASH|LINK")]
    root: ExpectedRoot,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct LogArgs {
    /// The transparency log's folder (with `checkpoint` and `tile/` in it)
    #[arg(long, value_name = "FOLDER")]
    log: PathBuf,
    /// The log's key, in the form of C2SP signed notes
    #[arg(long, value_name = "KEY", value_parser = log_audit::parse_key, conflicts_with_all = ["bundle", "root"])]
    log_key: Option<e2ee_core::log::LogKey>,
    /// A bundle whose certificates name the log's key (with --root)
    #[arg(long, value_name = "FILE", requires = "root", required_unless_present = "log_key")]
    bundle: Option<PathBuf>,
    /// SHA-256 of the organisation's root certificate, or a room's link (with --bundle)
    #[arg(long, value_name = "HASH|LINK", requires = "bundle")]
    root: Option<ExpectedRoot>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct BlindnessArgs {
    /// What the encoders made, dumped before sealing; may be given more than once
    #[arg(long, value_name = "FILE", required = true)]
    frames: Vec<PathBuf>,
    /// Folder with what the relay received
    #[arg(long, value_name = "FOLDER")]
    relay: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the audit and writes its report to `out`.
pub fn run(args: AuditArgs, out: &mut dyn Write) -> Result<Verdict, Error> {
    let (report, json) = match args.command {
        Audit::Transcript(args) => (run_transcript(&args)?, args.json),
        Audit::Log(args) => (run_log(&args)?, args.json),
        Audit::Blindness(args) => (blindness::audit(&args.frames, &args.relay)?, args.json),
    };
    let text = if json { report.to_json() } else { report.to_text() };
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Error::Write)?;
    Ok(report.verdict())
}

/// What the process ends with. The message of an error is the caller's to print.
pub fn exit_code(outcome: &Result<Verdict, Error>) -> u8 {
    match outcome {
        Ok(Verdict::Holds) => 0,
        Ok(Verdict::Wrong) => 1,
        Err(_) => 2,
    }
}

fn run_transcript(args: &TranscriptArgs) -> Result<Report, Error> {
    let bundle = transcript::read(&args.bundle)?;
    let folder = LogFolder::open(&args.log)?;
    transcript::audit(&bundle, &folder, &args.root)
}

fn run_log(args: &LogArgs) -> Result<Report, Error> {
    let folder = LogFolder::open(&args.log)?;
    match (&args.log_key, &args.bundle, &args.root) {
        (Some(key), _, _) => log_audit::by_key(&folder, key),
        (None, Some(bundle), Some(root)) => log_audit::by_bundle(&folder, &transcript::read(bundle)?, root),
        // clap asks for one or the other.
        _ => Err(Error::LogKey("neither --log-key nor --bundle and --root were given")),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        audit: AuditArgs,
    }

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("audit").chain(line.split_whitespace()))
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
        assert!(parse(&format!("transcript --bundle b --log l --root {}", "0".repeat(64))).is_ok());
        assert!(parse(&format!("log --log l --bundle b --root {}", "0".repeat(64))).is_ok());
        let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        assert!(parse(&format!("log --log l --log-key {key}")).is_ok());
        assert!(parse("blindness --frames a --frames b --relay d --json").is_ok());
    }

    #[test]
    fn audt_2_without_a_root_of_the_auditor_s_own_there_is_no_audit() {
        for line in [
            "transcript --bundle b --log l",
            "transcript --bundle b --log l --root nothing",
            "log --log l",
            "log --log l --bundle b",
            "blindness --relay d",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_run_ends_with_2() {
        let folder = tempfile::tempdir().unwrap();
        let line = format!(
            "transcript --bundle {0}/none.json --log {0} --root {1}",
            folder.path().display(),
            "0".repeat(64)
        );
        let outcome = run(parse(&line).unwrap().audit, &mut Vec::new());
        assert!(matches!(outcome, Err(Error::Read { .. })));
        assert_eq!(exit_code(&outcome), 2);
        assert_eq!(exit_code(&Ok(Verdict::Wrong)), 1);
        assert_eq!(exit_code(&Ok(Verdict::Holds)), 0);
    }
}
