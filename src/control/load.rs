//! I/O shell: zones and policy from the folder to a snapshot's content.
#![expect(clippy::disallowed_methods, reason = "I/O shell: reads the zones folder, measures how long it takes")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::event::{LoadFailure, Loaded};
use crate::answer::{Refused, compile::compile};
use crate::diagnostic::{Diagnostic, Severity, Source, has_errors};
use crate::dns::Name;
use crate::policy::{self, Policy};
use crate::zone::{self, Zone};

/// What the folder holds, checked.
#[derive(Debug, Default)]
pub struct Files {
    /// The policy; `None` when it was refused.
    pub policy: Option<Policy>,
    /// The zones that were accepted.
    pub zones: Vec<Arc<Zone>>,
    /// Every problem of every file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and checks every `*.zone` and `*.toml` of the folder. Other files, hidden ones and sub-folders are passed over;
/// a zone may include them.
pub fn read(folder: &Path) -> Files {
    let mut files = Files::default();
    let mut listed = match list(folder) {
        Ok(listed) => listed,
        Err(error) => {
            let sentence = format!("cannot read the zones folder {}: {error}", folder.display());
            files.diagnostics.push(Diagnostic::without_place(sentence));
            return files;
        }
    };
    listed.sort();
    let mut masters = Vec::new();
    let mut policies = Vec::new();
    for path in listed {
        let is_zone = path.extension().is_some_and(|extension| extension == "zone");
        match std::fs::read(&path) {
            Ok(text) if is_zone => masters.push(Source::new(path, text)),
            Ok(text) => policies.push(Source::new(path, text)),
            Err(error) => {
                files.diagnostics.push(Diagnostic::without_place(format!("cannot read {}: {error}", path.display())));
            }
        }
    }
    let hubs = policy::hub_names(&policies);
    let mut refused = Vec::new();
    for source in masters {
        let apex = match apex_of(&source.path) {
            Ok(apex) => apex,
            Err(problem) => {
                files.diagnostics.push(*problem);
                continue;
            }
        };
        let (zone, problems) = zone::read_beside_hubs(source, &apex, &hubs, &mut |include| std::fs::read(include));
        files.diagnostics.extend(problems);
        match zone {
            Some(zone) => files.zones.push(Arc::new(zone)),
            None => refused.push(apex),
        }
    }
    if files.zones.is_empty() && refused.is_empty() && !has_errors(&files.diagnostics) {
        let problem = Diagnostic::without_place(format!("no zone in {}", folder.display()));
        files.diagnostics.push(problem.hint("add a master file named after its apex, such as `example.net.zone`"));
    }
    // A zone that was refused still is the zone of its hubs: its problems are not theirs.
    let (policy, problems) = policy::read_beside_refused(&policies, &files.zones, &refused);
    files.diagnostics.extend(problems);
    files.policy = policy;
    files
}

fn list(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut listed = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let ours = path.extension().is_some_and(|extension| extension == "zone" || extension == "toml");
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if ours && !hidden && path.is_file() {
            listed.push(path);
        }
    }
    Ok(listed)
}

/// The apex that a zone file's name says: `example.net.zone`; the root is `root.zone`.
fn apex_of(path: &Path) -> Result<Name, Box<Diagnostic>> {
    let stem = path.file_stem().unwrap_or_default();
    if stem == "root" {
        return Ok(Name::root());
    }
    Name::parse_bytes(stem.as_encoded_bytes(), Some(&Name::root())).map_err(|error| {
        let problem = Diagnostic::without_place(format!("{} is not named after an apex: {error}", path.display()));
        Box::new(problem.hint("its name is the apex and `.zone`, such as `example.net.zone`; the root is `root.zone`"))
    })
}

/// Reads, checks and compiles the folder: the content, unless anything was refused, and every problem of every file.
pub fn load(folder: &Path) -> (Option<Loaded>, Vec<Diagnostic>) {
    let started = Instant::now();
    let Files { policy, zones, mut diagnostics, .. } = read(folder);
    let read = started.elapsed();
    let Some(policy) = policy.filter(|_| !has_errors(&diagnostics)) else { return (None, diagnostics) };
    let started = Instant::now();
    let content = match compile(&zones, &policy) {
        Ok(content) => content,
        Err(refused) => {
            diagnostics.extend(refused.iter().map(Refused::diagnostic));
            return (None, diagnostics);
        }
    };
    let warnings = diagnostics.iter().map(ToString::to_string).collect();
    let compile = started.elapsed();
    (Some(Loaded { policy: Arc::new(policy), content: Arc::new(content), warnings, read, compile }), diagnostics)
}

impl From<&[Diagnostic]> for LoadFailure {
    fn from(diagnostics: &[Diagnostic]) -> Self {
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        Self { problems: errors.map(ToString::to_string).collect() }
    }
}
