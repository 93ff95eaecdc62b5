//! `doctor`: checks the configuration, the state and this machine.

use std::fmt::Write as _;

use serde_json::json;
use staging_core::{ErrorKind, Finding, Health, examine};

use super::options::{checked_settings, defaults, options};
use super::{layers, recover};
use crate::args::Global;
use crate::console::Console;
use crate::failure::Failure;
use crate::location::Location;
use crate::paths::shown;

pub(super) fn doctor(
    console: &Console,
    global: &Global,
    location: &Location,
) -> Result<(), Failure> {
    let mut findings = vec![configuration(location)];
    // With a mistake in the configuration, everything else is looked at with the defaults.
    let options = options(global, location).unwrap_or_else(|_| defaults(location));
    findings.extend(examine(&options));
    findings.extend(recover::others(location));
    findings.extend(view(location));
    findings.extend(layers::finding(&location.state_dir));
    if console.json {
        console.object(json!({ "findings": findings }))?;
    } else {
        let mut text = String::new();
        let is_reported = |finding: &&Finding| !console.is_quiet || finding.health != Health::Good;
        for finding in findings.iter().filter(is_reported) {
            let mark = match finding.health {
                Health::Good => "ok",
                Health::Notice => "note",
                Health::Bad => "BAD",
            };
            let _ = writeln!(text, "{mark:<4} {}: {}", finding.name, finding.text);
        }
        console.text(&text)?;
    }
    let bad: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.health == Health::Bad)
        .map(|finding| finding.name)
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    // Its object is printed; a second one would be no JSON.
    Err(Failure::new(ErrorKind::Damaged, format!("not in order: {}", bad.join(", ")))
        .in_the_object())
}

/// Whether `greenroom run` can show a command a view here: it is tried.
#[cfg(target_os = "linux")]
fn view(location: &Location) -> Option<Finding> {
    let directory = [&location.state_dir, &location.base].into_iter().find(|dir| dir.is_dir())?;
    let finding = |health, text| Some(Finding { name: "run", health, text });
    let probe = |workspace| capture::probe(directory, workspace, super::view::keeper());
    match probe(None) {
        Ok(()) => match super::view::copy_reason(&location.root, || probe(Some(&location.root))) {
            None => finding(Health::Good, "commands can run in a view of the workspace".to_owned()),
            Some(reason) => {
                finding(Health::Notice, format!("commands get a copy of the workspace: {reason}"))
            }
        },
        Err(obstacle) => finding(Health::Notice, super::working_copy::report_refusal(&obstacle)),
    }
}

#[cfg(not(target_os = "linux"))]
fn view(_: &Location) -> Option<Finding> {
    None
}

fn configuration(location: &Location) -> Finding {
    let finding = |health, text| Finding { name: "configuration", health, text };
    let Some(file) = &location.config_file else {
        return finding(Health::Good, "none: there is no home directory".to_owned());
    };
    if !file.exists() {
        return finding(Health::Good, format!("none in `{}`: the defaults", shown(file)));
    }
    match checked_settings(location, defaults(location)) {
        Ok(_) => finding(Health::Good, format!("`{}`", shown(file))),
        Err(failure) => finding(Health::Bad, failure.message.clone()),
    }
}
