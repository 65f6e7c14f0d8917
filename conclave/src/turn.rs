//! The TURN server that the operator runs, as the command line names it. Its secret is never an argument: everybody on a machine can read
//! the arguments of its processes.

use anyhow::{Context, Result, bail};
use key_server::Turn;

use crate::cli::TurnArgs;

const SECRET: &str = "CONCLAVE_TURN_SECRET";

pub(crate) fn configured(args: &TurnArgs) -> Result<Option<Turn>> {
    decided(args, std::env::var(SECRET).ok())
}

fn decided(args: &TurnArgs, environment: Option<String>) -> Result<Option<Turn>> {
    let secret = match (&args.turn_secret_file, environment) {
        (Some(_), Some(_)) => bail!("both --turn-secret-file and {SECRET} are given: leave one out"),
        (Some(file), None) => Some(
            std::fs::read_to_string(file)
                .with_context(|| format!("--turn-secret-file {} cannot be read", file.display()))?,
        ),
        (None, secret) => secret,
    };
    match (args.turn_url.as_slice(), secret) {
        ([], None) => Ok(None),
        ([], Some(_)) => bail!("there is a TURN secret and no --turn-url for it"),
        (_, None) => bail!("--turn-url needs the secret shared with that server: --turn-secret-file or {SECRET}"),
        (urls, Some(secret)) => Turn::new(urls.to_vec(), secret.trim_end())
            .map(Some)
            .context("--turn-url or its secret is refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::decided;
    use crate::cli::TurnArgs;

    fn args(urls: &[&str], file: Option<&str>) -> TurnArgs {
        TurnArgs {
            turn_url: urls.iter().map(|&url| url.to_owned()).collect(),
            turn_secret_file: file.map(Into::into),
        }
    }

    #[test]
    fn rely_50_a_turn_server_needs_its_secret_from_one_place_and_no_message_holds_it() {
        let secret = || Some("north-star-of-the-sea".to_owned());
        assert!(decided(&args(&[], None), None).unwrap().is_none());
        let turn = decided(&args(&["turn:a.example", "turns:a.example:443"], None), secret()).unwrap();
        assert_eq!(turn.unwrap().urls().len(), 2);
        for (urls, file, secret) in [
            (&["turn:a.example"][..], None, None),
            (&[], None, secret()),
            (&["turn:a.example"], Some("/nonexistent"), None),
            (&["turn:a.example"], Some("/nonexistent"), secret()),
            (&["http://a.example"], None, secret()),
            (&["turn:a.example"], None, Some("short".to_owned())),
        ] {
            let words = format!("{:#}", decided(&args(urls, file), secret.clone()).unwrap_err());
            assert!(words.contains("turn") || words.contains("TURN"), "{words}");
            assert!(secret.is_none_or(|secret| !words.contains(&secret)), "{words}");
        }
    }
}
