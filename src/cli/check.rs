//! `concierge check`.

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Common, Failed, Output, config_path, print, print_json, render};
use crate::control::load;
use crate::control::reason::many;
use crate::daemon::{check_files, check_limits, read_config, zones_of_refused};
use crate::diagnostic::{Diagnostic, Severity, has_errors};

/// Check the configuration and every zone and policy file that it names, without a running daemon.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Check this folder of zones and policy, and no configuration
    #[arg(long, value_name = "FOLDER")]
    zones: Option<PathBuf>,
}

impl Check {
    pub(super) fn run(&self, common: &Common) -> Result<(), Failed> {
        let mut diagnostics = Vec::new();
        let mut config = None;
        let folder = match &self.zones {
            Some(folder) => Some(folder.clone()),
            None => {
                let Some(path) = config_path(common) else {
                    return Err(Failed::Sentence(format!(
                        "nothing to check: neither {} exists\nhint: name one with --config, or a folder with --zones",
                        super::PLACES.join(" nor ")
                    )));
                };
                let (read, problems) = read_config(&path);
                diagnostics.extend(problems);
                config = read;
                if let Some(config) = &config {
                    diagnostics.extend(check_files(config).into_iter().map(|(kind, problem)| secret(kind, problem)));
                }
                config.as_ref().map(|config| config.zones.clone()).or_else(|| zones_of_refused(&path))
            }
        };
        let mut loaded = None;
        if let Some(folder) = &folder {
            let (found, problems) = load::load(folder);
            loaded = found;
            diagnostics.extend(problems);
        }
        if let (Some(config), Some(loaded)) = (&config, &loaded) {
            diagnostics.extend(check_limits(config, loaded));
        }
        let rejected = has_errors(&diagnostics);
        match common.output {
            Output::Json => {
                let found = json!({
                    "ok": !rejected,
                    "problems": diagnostics.iter().map(problem).collect::<Vec<_>>(),
                });
                return match rejected {
                    true => Err(Failed::rejected(&diagnostics).with(&found)),
                    false => print_json(&found),
                };
            }
            Output::Text => {
                if !diagnostics.is_empty() {
                    print::complain(render::render(&diagnostics, print::colors()));
                }
                if let Some(loaded) = loaded.filter(|_| !rejected) {
                    let (zones, hubs) = (loaded.content.zones().len(), loaded.policy.hubs.len());
                    let records = loaded.content.counts().records;
                    print::line(format_args!(
                        "ok: {}, {}, {}, {}",
                        many(zones, "zone"),
                        many(records, "record"),
                        many(hubs, "hub"),
                        many(loaded.policy.regions.len(), "region")
                    ))?;
                }
            }
        }
        if rejected { Err(Failed::rejected(&diagnostics)) } else { Ok(()) }
    }
}

/// What is wrong with a secret that the daemon will need. That of another account cannot be looked at.
fn secret(kind: Option<ErrorKind>, problem: Diagnostic) -> Diagnostic {
    match kind {
        Some(ErrorKind::PermissionDenied) => Diagnostic {
            severity: Severity::Warning,
            hint: Some("it was not checked: `concierge check` by the account that runs the daemon does".into()),
            ..problem
        },
        _ => problem,
    }
}

fn problem(diagnostic: &Diagnostic) -> serde_json::Value {
    let place = diagnostic.place.as_ref();
    json!({
        "severity": diagnostic.severity.word(),
        "message": diagnostic.message,
        "file": place.map(|place| place.path.display().to_string()),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
        "hint": diagnostic.hint,
    })
}
