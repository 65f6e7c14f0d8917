//! What viewers on bad lines see of each relay's picture (`load watch`).

use super::relays::{Relay, Which};
use super::wire::Wire;
use crate::{layout, run, say};
use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::process::Command;

/// No freeze this long, as far as it is within a relay's power.
const LONGEST_GOAL_MS: f64 = 500.0;
/// In an outage of 5 s nothing is shown for as long; what comes on top of that is the relay's and the viewer's.
const OUTAGE: (&str, f64) = ("outage", 5_000.0);
/// What is more than the goal asks for.
const BEYOND: &str = "20 %";

const FIGURES: &[(&str, &str, f64)] = &[
    ("longest_freeze_ms", "longest time without a picture", 1.0),
    ("freezes_a_minute", "freezes a minute and viewer", 1.0),
    ("shown_share", "of all frames shown, %", 100.0),
    ("lost_after_repair", "of all packets lost after repair, %", 100.0),
];

pub(super) fn run(wire: &Wire) -> Result<Vec<Value>> {
    let mut found: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for which in Which::ALL {
        if which == Which::Janus && !wire.is_private() {
            continue;
        }
        let step = say::step(&format!("watched over bad lines: {}", which.name()));
        match watch(which, wire) {
            Ok(scenarios) => drop(found.insert(which.name(), scenarios)),
            Err(error) if which == Which::Ours => return Err(error),
            Err(error) => say::warn(&format!("{} gave up: {error:#}", which.name())),
        }
        step.done();
    }
    let ours = found.remove(Which::Ours.name()).context("our relay was not watched")?;
    Ok(ours.iter().flat_map(|scenario| report(scenario, &found)).collect())
}

fn watch(which: Which, wire: &Wire) -> Result<Vec<Value>> {
    let relay = Relay::start(which, wire, 1)?;
    let mut load = Command::new(layout::target()?.join("release/load"));
    load.args(["watch", "--target", which.name(), "--signalling", &relay.signalling]);
    load.args(["--local", &wire.near]);
    let text = run::quietly(&mut load)?;
    text.lines()
        .map(|line| {
            say::note(line);
            serde_json::from_str(line).with_context(|| format!("`{line}` is no scenario"))
        })
        .collect()
}

fn report(scenario: &Value, peers: &BTreeMap<&str, Vec<Value>>) -> Vec<Value> {
    let name = scenario["case"].as_str().unwrap_or_default();
    let line = |(key, what, scale): &(&str, &str, f64)| {
        let figure = |of: &Value| of[*key].as_f64().map(|value| super::rounded(value * scale));
        let own = figure(scenario);
        let of_peers: Map<String, Value> = peers
            .iter()
            .filter_map(|(peer, scenarios)| {
                let same = scenarios.iter().find(|other| other["case"] == scenario["case"])?;
                Some(((*peer).to_owned(), json!(figure(same)?)))
            })
            .collect();
        let goal = (*key == "longest_freeze_ms" && !name.contains(BEYOND)).then(|| {
            let unavoidable = if name.contains(OUTAGE.0) { OUTAGE.1 } else { 0.0 };
            LONGEST_GOAL_MS + unavoidable
        });
        let holds = goal.is_none_or(|goal| own.is_some_and(|own| own <= goal));
        json!({ "case": format!("watched, {name}: {what}"), "unit": if *key == "longest_freeze_ms" { "ms" } else { "" },
            "ours": own, "peers": of_peers, "goal": goal, "holds": holds })
    };
    FIGURES.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::report;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn a_freeze_beyond_the_goal_does_not_hold_and_an_outage_itself_is_nobodys_fault() {
        let scenario =
            |name: &str, longest: f64| json!({ "case": name, "longest_freeze_ms": longest, "shown_share": 0.99 });
        let peers = BTreeMap::from([("str0m", vec![scenario("loss of 10 %", 700.0)])]);
        let first = |name, longest| report(&scenario(name, longest), &peers).remove(0);
        let line = first("loss of 10 %", 501.0);
        assert_eq!(
            (&line["holds"], &line["peers"]["str0m"]),
            (&json!(false), &json!(700.0))
        );
        assert_eq!(first("loss of 10 %", 0.0)["holds"], true);
        assert_eq!(first("outage of 5 s", 5_400.0)["holds"], true);
        assert_eq!(first("outage of 5 s", 5_600.0)["holds"], false);
        assert_eq!(first("loss of 20 %", 9_000.0)["goal"], json!(null));
    }
}
