//! I/O shell: zones and policy from the folder to a snapshot's content.
#![expect(clippy::disallowed_methods, reason = "I/O shell: reads the zones folder, measures how long it takes")]

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::event::{LoadFailure, Loaded, Stamps};
use crate::answer::snapshot::Content;
use crate::answer::{Refused, compile::compile};
use crate::diagnostic::{Diagnostic, Severity, Source, has_errors};
use crate::dns::Name;
use crate::geo::{Database, Databases};
use crate::health::probe::{check_client_certificate, check_secret, check_trust_anchors};
use crate::policy::{
    self, ClientCertificate, GateKind, GeoFile, GeoSettings, Hook, HttpGate, Policy, ProbeKind, Secret,
};
use crate::zone::{self, Zone};

/// What the folder holds, checked.
#[derive(Debug, Default)]
pub struct Files {
    /// The policy; `None` when it was refused.
    pub policy: Option<Policy>,
    /// The zones that were accepted.
    pub zones: Vec<Zone>,
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
        if is_zone {
            masters.push(path);
            continue;
        }
        match std::fs::read(&path) {
            Ok(text) => policies.push(Source::new(path, text)),
            Err(error) => {
                files.diagnostics.push(Diagnostic::without_place(format!("cannot read {}: {error}", path.display())));
            }
        }
    }
    let hubs = policy::hub_names(&policies);
    let mut refused = Vec::new();
    for path in masters {
        let apex = match apex_of(&path) {
            Ok(apex) => apex,
            Err(problem) => {
                files.diagnostics.push(*problem);
                continue;
            }
        };
        let (zone, problems) = zone::read_beside_hubs(&path, &apex, &hubs, &mut |path| Ok(Box::new(File::open(path)?)));
        files.diagnostics.extend(problems);
        match zone {
            Some(zone) => files.zones.push(zone),
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
    files.diagnostics.extend(policy.iter().flat_map(check_named));
    files.policy = policy;
    files
}

/// Looks at the files that a policy names: trust anchors and programs that could not be used when they are needed.
fn check_named(policy: &Policy) -> Vec<Diagnostic> {
    let mut named = Vec::new();
    for probe in policy.probes.values() {
        let what = || format!("probe `{}`", probe.name);
        if let Some(tls) = probe.kind.tls() {
            named.extend(tls.ca.as_deref().map(|ca| (what(), None, Named::Anchors(ca))));
            named.extend(tls.client.as_ref().map(|client| (what(), None, Named::Client(client))));
        }
        if let ProbeKind::Exec(exec) = &probe.kind {
            named.push((what(), None, Named::Program(exec.program())));
        }
        named.extend(probe.kind.secrets().into_iter().map(|secret| (what(), None, Named::Secret(secret))));
    }
    for gate in policy.gates.values() {
        let file = match &gate.kind {
            GateKind::Http(HttpGate { ca: Some(ca), .. }) => Named::Anchors(ca),
            GateKind::Exec(exec) => Named::Program(exec.program()),
            GateKind::Http(_) | GateKind::Ack => continue,
        };
        named.push((format!("gate `{}`", gate.name), None, file));
    }
    for hub in policy.hubs.values() {
        let file = match hub.fence.as_deref().map(|fence| &fence.hook) {
            Some(Hook::Http { ca: Some(ca), .. }) => Named::Anchors(ca),
            Some(Hook::Exec(exec)) => Named::Program(exec.program()),
            Some(Hook::Http { ca: None, .. }) | None => continue,
        };
        named.push((format!("the fence of hub `{}`", hub.name), Some(&hub.place), file));
    }
    // Ten thousand hubs may well name one program.
    let mut seen: BTreeMap<Named<'_>, Result<(), String>> = BTreeMap::new();
    let mut problems = Vec::new();
    for (what, place, file) in named {
        let Err(error) = seen.entry(file).or_insert_with(|| file.check()) else { continue };
        let (why, hint) = match file {
            Named::Anchors(_) => ("verify certificates", "`ca` is a PEM file, relative to the policy file's folder"),
            Named::Client(_) => {
                ("show its certificate", "`cert` and `key` are PEM files, relative to the policy file's folder")
            }
            Named::Secret(Secret::File(_)) => ("have its secret", "`file` is relative to the policy file's folder"),
            Named::Secret(Secret::Env(_)) => ("have its secret", "set it where the daemon is started, if not here"),
            Named::Program(_) => {
                ("run its program", "`command` starts with a path, relative to the policy file's folder")
            }
        };
        let sentence = format!("{what} cannot {why}: {error}");
        let mut problem = match place {
            Some(place) => Diagnostic::error(place.clone(), sentence),
            None => Diagnostic::without_place(sentence),
        };
        // Whoever checks a policy has another environment than the daemon.
        if matches!(file, Named::Secret(Secret::Env(_))) {
            problem.severity = Severity::Warning;
        }
        problems.push(problem.hint(hint));
    }
    problems
}

/// A file that a policy names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named<'p> {
    /// Trust anchors.
    Anchors(&'p Path),
    /// A client certificate.
    Client(&'p ClientCertificate),
    /// A secret.
    Secret(&'p Secret),
    /// A program with its arguments.
    Program(&'p str),
}

impl Named<'_> {
    /// Whether it can be used, or why not.
    fn check(self) -> Result<(), String> {
        match self {
            Self::Anchors(ca) => check_trust_anchors(ca),
            Self::Client(client) => check_client_certificate(client),
            Self::Secret(secret) => check_secret(secret),
            Self::Program(program) => check_program(Path::new(program)),
        }
    }
}

/// Whether somebody may execute the file: whoever checks a policy need not be whom the daemon runs as.
fn check_program(program: &Path) -> Result<(), String> {
    let shown = program.display();
    let found = std::fs::metadata(program).map_err(|error| format!("`{shown}`: {}", sentence(&error)))?;
    if !found.is_file() {
        return Err(format!("`{shown}` is no file"));
    }
    if found.permissions().mode() & 0o111 == 0 {
        return Err(format!("`{shown}` may not be executed by anybody"));
    }
    Ok(())
}

/// The error without the number that the system has for it.
fn sentence(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    words.to_lowercase()
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

/// How nice a reload is to the threads that answer queries on the same cores, whatever its parent is.
const NICE: i32 = 10;

/// Lets the calling thread step back behind the others, for as long as it lasts: for a reload, which has time.
pub(super) fn step_back() {
    // One that is nicer stays so. On Linux this is a thread's own.
    if rustix::process::getpriority_process(None).is_ok_and(|nice| nice < NICE) {
        let _ = rustix::process::setpriority_process(None, NICE);
    }
}

/// Reads, checks and compiles the folder: the content, unless anything was refused, and every problem of every file.
pub fn load(folder: &Path) -> (Option<Loaded>, Vec<Diagnostic>) {
    let started = Instant::now();
    let Files { policy, zones, mut diagnostics, .. } = read(folder);
    let read = started.elapsed();
    let Some(policy) = policy.filter(|_| !has_errors(&diagnostics)) else { return (None, diagnostics) };
    let started = Instant::now();
    let content = match compile(zones.into_iter().map(|zone| zone.tree).collect(), &policy) {
        Ok(content) => content,
        Err(refused) => {
            diagnostics.extend(refused.iter().map(Refused::diagnostic));
            return (None, diagnostics);
        }
    };
    let stamps = stamps(&policy.geo);
    let content = match open(&policy.geo) {
        Ok(databases) if content.has_maps() => content.classed_by(&databases),
        Ok(_) => content,
        Err(problems) => {
            diagnostics.extend(problems);
            return (None, diagnostics);
        }
    };
    let warnings = diagnostics.iter().map(ToString::to_string).collect();
    let compile = started.elapsed();
    let loaded = Loaded { policy: Arc::new(policy), content: Arc::new(content), warnings, read, compile, stamps };
    (Some(loaded), diagnostics)
}

/// The database files of a policy.
fn files(geo: &GeoSettings) -> impl Iterator<Item = &GeoFile> {
    geo.database.iter().chain(&geo.asn)
}

/// The database files as they are at this moment.
pub(super) fn stamps(geo: &GeoSettings) -> Stamps {
    let stamp = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len(), found.ino()))
    };
    Stamps(files(geo).map(|file| (file.path.clone(), stamp(&file.path))).collect())
}

/// Reads the databases of a policy; the problems have their places.
fn open(geo: &GeoSettings) -> Result<Databases, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut read = |file: &Option<GeoFile>| {
        let file = file.as_ref()?;
        let hint = "a MaxMind DB file, such as GeoLite2-City.mmdb, relative to the policy file's folder";
        let problem = |why| Diagnostic::error(file.place.clone(), format!("cannot {why}")).hint(format!("name {hint}"));
        Database::open(&file.path).map_err(|why| problems.push(problem(why))).ok()
    };
    let databases = Databases { database: read(&geo.database), asn: read(&geo.asn) };
    if problems.is_empty() { Ok(databases) } else { Err(problems) }
}

/// The same content with clients classed by the databases as they are in their files.
///
/// # Errors
/// What is wrong with them: one sentence each.
pub(super) fn class_anew(geo: &GeoSettings, content: &Content) -> Result<Content, Vec<String>> {
    let databases =
        open(geo).map_err(|problems| problems.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>())?;
    Ok(content.classed_by(&databases))
}

impl From<&[Diagnostic]> for LoadFailure {
    fn from(diagnostics: &[Diagnostic]) -> Self {
        let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        Self { problems: errors.map(ToString::to_string).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "@ 60 IN SOA ns h 1 2 3 4 5\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n";

    /// Loads a folder of these files and returns its problems, the folder's own name left out.
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let (loaded, problems) = load(folder.path());
        let own = format!("{}/", folder.path().display());
        let said: Vec<_> = problems.iter().map(|problem| problem.to_string().replace(&own, "")).collect();
        assert_eq!(said, expected, "{files:?}");
        assert_eq!(loaded.is_some(), !has_errors(&problems));
    }

    #[test]
    fn a_reload_steps_back_and_nothing_else_does() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let stepped_back = std::thread::spawn(move || {
            step_back();
            niceness()
        });
        assert_eq!(stepped_back.join().unwrap(), before.max(NICE));
        assert_eq!(niceness(), before);
    }

    #[test]
    fn zones_are_named_after_their_apex() {
        check(&[("example.net.zone", ZONE)], &[]);
        check(&[("root.zone", "@ 60 IN SOA ns. h. 1 2 3 4 5\n@ 60 IN NS ns.net.\nns.net. 60 IN A 192.0.2.1\n")], &[]);
        check(
            &[("a..b.zone", ZONE), ("c.zone", ZONE)],
            &["error: a..b.zone is not named after an apex: empty label in the name (hint: its name is the apex and \
               `.zone`, such as `example.net.zone`; the root is `root.zone`)"],
        );
    }

    #[test]
    fn other_files_hidden_ones_and_folders_are_passed_over() {
        check(&[("c.zone", ZONE), (".d.zone", "x"), ("notes.txt", "x"), ("sub/e.zone", "x"), ("c.zone.bak", "x")], &[]);
    }

    #[test]
    fn an_included_file_is_found_beside_its_includer() {
        let with = format!("{ZONE}$INCLUDE sub/more\n");
        check(&[("c.zone", &with), ("sub/more", "www 60 IN A 192.0.2.1\n")], &[]);
    }

    #[test]
    fn a_folder_without_zones_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (loaded, problems) = load(folder.path());
        assert!(loaded.is_none() && problems[0].message.starts_with("no zone in "));
        let (_, problems) = load(&folder.path().join("gone"));
        assert!(problems[0].message.starts_with("cannot read the zones folder"));
    }

    #[test]
    fn trust_anchors_that_cannot_be_read_are_found_before_they_are_needed() {
        let policy = "[regions.a]\n[probes.p]\nhttps = { ca = \"none.pem\" }\n[hubs.\"h.c.\"]\nendpoints = [{ region = \
                      \"a\", addresses = [\"192.0.2.1\"], probe = \"p\" }]\n";
        check(
            &[("c.zone", ZONE), ("p.toml", policy)],
            &["error: probe `p` cannot verify certificates: read trust anchors `none.pem`: no such file or directory \
               (hint: `ca` is a PEM file, relative to the policy file's folder)"],
        );
    }

    #[test]
    fn certificates_and_secrets_that_are_not_there_are_found_before_they_are_needed() {
        let policy = "[regions.a]\n[probes.p]\nhttps = { cert = \"c.pem\", key = \"k.pem\", headers = { x = { file = \
                      \"none\" }, y = { env = \"CONCIERGE_NO_SUCH_VARIABLE\" } } }\n[hubs.\"h.c.\"]\nendpoints = [{ \
                      region = \"a\", addresses = [\"192.0.2.1\"], probe = \"p\" }]\n";
        check(
            &[("c.zone", ZONE), ("p.toml", policy)],
            &[
                "error: probe `p` cannot show its certificate: read client certificate `c.pem`: no such file or directory \
                 (hint: `cert` and `key` are PEM files, relative to the policy file's folder)",
                "error: probe `p` cannot have its secret: read the secret `none`: no such file or directory (hint: `file` \
                 is relative to the policy file's folder)",
                "warning: probe `p` cannot have its secret: read the secret in environment variable \
                 `CONCIERGE_NO_SUCH_VARIABLE`: it is not set (hint: set it where the daemon is started, if not here)",
            ],
        );
    }

    #[test]
    fn databases_that_cannot_be_read_are_found_where_they_are_named() {
        let policy = "[regions.a]\n[geo]\ndatabase = \"none.mmdb\"\n[hubs.\"h.c.\"]\npolicy = \"geo\"\nmap = [{ country = \
                      \"DE\", to = [\"a\"] }]\nendpoints = [{ region = \"a\", addresses = [\"192.0.2.1\"] }]\n";
        check(
            &[("c.zone", ZONE), ("p.toml", policy)],
            &[
                "p.toml:7:14: warning: the endpoint in `a` has no `probe`: its health stays unknown (hint: add `probe = \
                 \"NAME\"`)",
                "p.toml:3:12: error: cannot read the database `none.mmdb`: no such file or directory (hint: name a MaxMind \
                 DB file, such as GeoLite2-City.mmdb, relative to the policy file's folder)",
            ],
        );
    }

    #[test]
    fn programs_that_cannot_be_run_are_found_before_they_are_needed() {
        const HINT: &str = "(hint: `command` starts with a path, relative to the policy file's folder)";
        let endpoints = "endpoints = [{ region = \"a\", addresses = [\"192.0.2.1\"], probe = \"p\" }, { region = \"b\", \
                         addresses = [\"192.0.2.2\"], probe = \"p\" }]\n";
        let gate = |name: &str, program: &str| format!("[gates.{name}]\nexec = {{ command = [\"{program}\"] }}\n");
        let uses: Vec<_> =
            ["d", "e", "f", "g", "h"].map(|name| format!("{{ gate = \"{name}\", on = \"both\" }}")).into();
        let policy = format!(
            "[regions]\na = {{}}\nb = {{}}\n[probes.p]\ntcp.port = 1\n{}{}{}{}[gates.h]\nhttp = {{ url = \"https://a.c/\", ca = \
             \"none.pem\" }}\n[hubs.\"h.c.\"]\ngates = [{}]\nfence.exec.command = [\"bin/none\"]\n{endpoints}",
            gate("d", "bin"),
            gate("e", "bin/none"),
            gate("f", "p.toml"),
            gate("g", "/bin/sh"),
            uses.join(", "),
        );
        check(
            &[("c.zone", ZONE), ("p.toml", &policy), ("bin/some", "")],
            &[
                &format!("error: gate `d` cannot run its program: `bin` is no file {HINT}"),
                &format!("error: gate `e` cannot run its program: `bin/none`: no such file or directory {HINT}"),
                &format!("error: gate `f` cannot run its program: `p.toml` may not be executed by anybody {HINT}"),
                "error: gate `h` cannot verify certificates: read trust anchors `none.pem`: no such file or directory \
                 (hint: `ca` is a PEM file, relative to the policy file's folder)",
                &format!(
                    "p.toml:16:7: error: the fence of hub `h.c.` cannot run its program: `bin/none`: no such file or directory {HINT}"
                ),
            ],
        );
    }

    /// What only the compilation sees is reported like everything else.
    #[test]
    fn refusals_of_the_compilation_have_a_place() {
        let records: Vec<_> = (0..60).map(|at| format!("\"A 192.0.2.{at}\"")).collect();
        let records = records.join(", ");
        let policy =
            format!("[regions.a]\n[hubs.\"h.c.\"]\nendpoints = [{{ region = \"a\", records = [{records}] }}]\n");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c.zone"), ZONE).unwrap();
        std::fs::write(folder.path().join("p.toml"), policy).unwrap();
        let (loaded, problems) = load(folder.path());
        assert!(loaded.is_none());
        let refused = problems.iter().find(|problem| problem.severity == Severity::Error).unwrap();
        assert!(refused.message.contains("512 fit everywhere"), "{refused}");
        assert_eq!(refused.place.as_ref().unwrap().line, 2);
    }
}
