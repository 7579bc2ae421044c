//! I/O shell: the files that are within reach of the process (Landlock).
//!
//! Read: the folders of the configuration, of zones, and of every file that configuration and policy name; the system's
//! own about resolvers, time, certificates, processors and this process. Written: the state folder, and the folders of the
//! admin socket, of a dnstap file and of the query log. Executed: what lies beside this program, and the system's libraries,
//! for a successor. Everything else is out of reach, also for a process that has been taken over by somebody, and for root.
//!
//! Folders and not files, because files are replaced by renaming others into their place, which the kernel would not know.
//! The exception is a file directly in `/etc` or `/`: then the file alone.
//!
//! A program that the process runs is shut in with it for ever, and what it may need nobody here knows. So there is no
//! sandbox while the policy runs programs (`exec` probes, gates and fences), and a reload that brings the first one into a
//! sandbox is refused.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, path_beneath_rules,
};

use super::stand;
use crate::config::Config;
use crate::policy::{Fence, GateKind, Hook, Policy, ProbeKind, Secret};

/// What a process of this program reads of the system: resolvers, time, certificates, processors, counters of sockets.
const SYSTEM: [&str; 20] = [
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/resolv.conf",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/proc",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/usr/lib/ssl",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
    "/run/systemd/resolve",
    "/run/NetworkManager",
];

/// What a successor is loaded with.
const LIBRARIES: [&str; 6] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/libexec", "/nix/store"];

/// Landlock as of Linux 6.10. Older kernels do what they can of it.
const LEVEL: ABI = ABI::V5;

/// Whether this process is shut in.
static SHUT: OnceLock<()> = OnceLock::new();

/// The files within reach.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reach {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    execute: Vec<PathBuf>,
}

/// Shuts the process in, as far as it is configured and the kernel can, and says so. To be called before the first thread:
/// those that there are already stay outside.
///
/// `inherited` is how far the process before has shut this one in: that holds, whatever is configured.
///
/// # Errors
/// When it is shut in, and the policy cannot be carried out so.
pub fn shut(config: &Config, config_path: &Path, policy: &Policy, inherited: f64) -> Result<(), String> {
    if inherited > 0.0 {
        enclosed(inherited);
        if let Some(objection) = objection(policy) {
            return Err(objection);
        }
    }
    enclose(config, config_path, policy, inherited > 0.0);
    Ok(())
}

fn enclose(config: &Config, config_path: &Path, policy: &Policy, inherited: bool) {
    if !config.process.landlock {
        match inherited {
            true => tracing::info!(event = "sandbox", "the sandbox of the process before holds until a restart"),
            false => tracing::info!(event = "sandbox", "no sandbox, as configured: every file is within reach"),
        }
        return;
    }
    let programs = programs(policy);
    if !programs.is_empty() {
        tracing::info!(
            event = "sandbox",
            "no sandbox: the policy runs programs, which would be shut in too ({})",
            programs.join(", ")
        );
        return;
    }
    make_folders(config);
    let reach = Reach::of(config, config_path, policy);
    match reach.enclose().map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => {
            enclosed(1.0);
            tracing::info!(event = "sandbox", "files that are not needed are out of reach");
        }
        Ok(RulesetStatus::PartiallyEnforced) => {
            enclosed(0.5);
            tracing::info!(event = "sandbox", "files that are not needed are out of reach, as far as this kernel can");
        }
        Ok(RulesetStatus::NotEnforced) => {
            tracing::warn!(event = "sandbox", "no sandbox: this kernel has no Landlock, or it is not enabled");
        }
        // After so many upgrades without a restart the kernel takes no more of them.
        Err(error) if inherited => {
            tracing::info!(event = "sandbox", "the sandbox of the process before holds: {error}");
        }
        Err(error) => tracing::warn!(event = "sandbox", "no sandbox of this process's own: {error}"),
    }
}

/// Why a policy cannot be carried out by this process, which is shut in: at a reload.
pub fn objection(policy: &Policy) -> Option<String> {
    let programs = programs(policy);
    if SHUT.get().is_none() || programs.is_empty() {
        return None;
    }
    Some(format!(
        "the policy runs programs ({}), which this process cannot: it is in a sandbox since its start; hint: restart the \
         daemon, which then runs without one",
        programs.join(", ")
    ))
}

/// A rule is of a folder that is there. Who cannot make it is told by whoever needs it.
fn make_folders(config: &Config) {
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(&config.state);
    let _ = DirBuilder::new().recursive(true).create(folder(&config.admin.socket));
}

fn enclosed(landlock: f64) {
    // Twice is once.
    let _ = SHUT.set(());
    stand(|standing| standing.landlock = landlock);
}

impl Reach {
    /// What this configuration and policy need.
    pub fn of(config: &Config, config_path: &Path, policy: &Policy) -> Self {
        let mut reach = Self::default();
        reach.read.push(folder(config_path));
        reach.read.push(config.zones.clone());
        // A link is pointed elsewhere, beside where it points, when zones are deployed.
        if config.zones.is_symlink()
            && let Ok(target) = config.zones.canonicalize()
        {
            reach.read.push(folder(&target));
        }
        reach.read.extend(config.process.readable.iter().cloned());
        let named = config.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]).chain(&config.edns.cookie_secrets);
        let named: Vec<PathBuf> = named.cloned().chain(files(policy)).collect();
        reach.read.extend(named.iter().map(|file| around(file)));
        // Links to where others keep them, in which a renewal is another file: as certbot does.
        reach.read.extend(named.iter().filter_map(|file| Some(around(&file.canonicalize().ok()?))));
        reach.read.extend(SYSTEM.iter().map(PathBuf::from));
        if let Ok(resolvers) = Path::new("/etc/resolv.conf").canonicalize() {
            reach.read.push(around(&resolvers));
        }
        reach.write.push(config.state.clone());
        // A folder, for files there are renamed and made anew. The socket of a receiver is connected to, which takes no right.
        let taps = [&config.dnstap.file, &config.query_log.file];
        reach.write.extend(taps.into_iter().flatten().map(|file| around(file)));
        reach.write.push(folder(&config.admin.socket));
        reach.execute.extend(LIBRARIES.iter().map(PathBuf::from));
        if let Ok(program) = std::env::current_exe() {
            reach.execute.push(folder(&program));
        }
        reach
    }

    fn enclose(&self) -> Result<RestrictionStatus, RulesetError> {
        let (read, all) =
            (AccessFs::from_read(LEVEL) & !AccessFs::Execute, AccessFs::from_all(LEVEL) & !AccessFs::Execute);
        let device = AccessFs::ReadFile | AccessFs::WriteFile;
        // What is not there is passed over.
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(LEVEL))?
            .create()?
            .add_rules(path_beneath_rules(&self.read, read))?
            .add_rules(path_beneath_rules(["/dev/null"], device))?
            .add_rules(path_beneath_rules(&self.write, all))?
            .add_rules(path_beneath_rules(&self.execute, read | AccessFs::Execute))?
            .restrict_self()
    }
}

/// The folder that a file is in.
fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => file.to_owned(),
    }
}

/// A file's folder, unless that is where everything is.
fn around(file: &Path) -> PathBuf {
    let folder = folder(file);
    match folder.to_str() {
        Some("/" | "/etc") => file.to_owned(),
        _ => folder,
    }
}

/// The files that a policy names: trust anchors, certificates, secrets, databases.
fn files(policy: &Policy) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for probe in policy.probes.values() {
        if let Some(tls) = probe.kind.tls() {
            files.extend(tls.ca.clone());
            files.extend(tls.client.iter().flat_map(|client| [client.cert.clone(), client.key.clone()]));
        }
        files.extend(probe.kind.secrets().into_iter().filter_map(|secret| match secret {
            Secret::File(file) => Some(file.clone()),
            Secret::Env(_) => None,
        }));
    }
    files.extend(policy.gates.values().filter_map(|gate| match &gate.kind {
        GateKind::Http(http) => http.ca.clone(),
        GateKind::Exec(_) | GateKind::Ack => None,
    }));
    files.extend(fences(policy).filter_map(|fence| match &fence.hook {
        Hook::Http { ca, .. } => ca.clone(),
        Hook::Exec(_) => None,
    }));
    files.extend([&policy.geo.database, &policy.geo.asn].into_iter().flatten().map(|file| file.path.clone()));
    files
}

/// The programs that a policy runs, each with what runs it.
fn programs(policy: &Policy) -> Vec<String> {
    let probes = policy.probes.iter().filter_map(|(name, probe)| match &probe.kind {
        ProbeKind::Exec(exec) => Some(format!("probe {name}: {}", exec.program())),
        _ => None,
    });
    let gates = policy.gates.iter().filter_map(|(name, gate)| match &gate.kind {
        GateKind::Exec(exec) => Some(format!("gate {name}: {}", exec.program())),
        _ => None,
    });
    let fences = fences(policy).filter_map(|fence| match &fence.hook {
        Hook::Exec(exec) => Some(format!("fence: {}", exec.program())),
        Hook::Http { .. } => None,
    });
    let mut programs: Vec<_> = probes.chain(gates).chain(fences).collect();
    programs.dedup();
    programs
}

fn fences(policy: &Policy) -> impl Iterator<Item = &Fence> {
    policy.hubs.values().filter_map(|hub| hub.fence.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Source;
    use crate::dns::Name;

    const ZONE: &str = "[regions.a]\n[hubs.\"hub.example.net.\"]\nendpoints = [{ region = \"a\", addresses = [\"192.0.2.1\"], \
                        probe = \"p\" }]\n";

    fn policy(text: &str) -> Policy {
        let source = Source::new("/srv/zones/a.toml", format!("{ZONE}{text}"));
        let (policy, problems) = crate::policy::read_beside_refused(&[source], &[], &[Name::root()]);
        policy.unwrap_or_else(|| panic!("{problems:?}"))
    }

    #[test]
    fn what_the_policy_names_is_within_reach_and_nothing_beside_a_file_of_etc() {
        let policy = policy(
            "[probes.p]\nmqtt = { port = 8883, tls = true, ca = \"/etc/ca.pem\", cert = \"/srv/tls/cert.pem\", key = \
             \"/srv/tls/key.pem\", username = \"u\", password = { file = \"/srv/secrets/password\" } }\n",
        );
        let mut config = Config::default_at(Path::new("/opt/c/config"));
        config.edns.cookie_secrets = Some("/srv/cookies/cookie.keys".into());
        (config.dnstap.socket, config.dnstap.file) = (Some("/run/tap.sock".into()), Some("/var/tap/messages".into()));
        let reach = Reach::of(&config, Path::new("/opt/c/config/concierge.toml"), &policy);
        for path in ["/opt/c/config", "/opt/c/zones", "/srv/cookies", "/srv/tls", "/srv/secrets", "/etc/ca.pem"] {
            assert!(reach.read.contains(&PathBuf::from(path)), "{path}: {:?}", reach.read);
        }
        for path in ["/etc", "/", "/srv", "/root", "/home"] {
            assert!(!reach.read.contains(&PathBuf::from(path)), "{path}: {:?}", reach.read);
        }
        assert_eq!(reach.write, ["/opt/c/state", "/var/tap", "/opt/c/state"].map(PathBuf::from));
    }

    #[test]
    fn where_links_lead_is_within_reach_too() {
        let folder = tempfile::tempdir().unwrap();
        // As certbot keeps certificates.
        let (live, archive) = (folder.path().join("live/d"), folder.path().join("archive/d"));
        for folder in [&live, &archive] {
            std::fs::create_dir_all(folder).unwrap();
        }
        for file in ["fullchain", "privkey"] {
            let made = archive.join(format!("{file}1.pem"));
            std::fs::OpenOptions::new().create_new(true).write(true).open(made).unwrap();
            let target = format!("../../archive/d/{file}1.pem");
            std::os::unix::fs::symlink(target, live.join(format!("{file}.pem"))).unwrap();
        }
        let mut config = Config::default_at(Path::new("/opt/c/config"));
        config.tls =
            Some(crate::config::Tls { certificate: live.join("fullchain.pem"), key: live.join("privkey.pem") });
        let policy = policy("[probes.p]\ntcp = { port = 1 }\n");
        let reach = Reach::of(&config, Path::new("/opt/c/config/concierge.toml"), &policy);
        for folder in [live, archive.canonicalize().unwrap()] {
            assert!(reach.read.contains(&folder), "{}: {:?}", folder.display(), reach.read);
        }
    }

    #[test]
    fn programs_are_found_wherever_a_policy_runs_them() {
        let check = |text: &str, expected: &[&str]| assert_eq!(programs(&policy(text)), expected);
        check("[probes.p]\ntcp = { port = 1 }\n", &[]);
        check("[probes.p]\nexec = { command = [\"/bin/look\"] }\n", &["probe p: /bin/look"]);
        check(
            "fence = { exec = { command = [\"/bin/tell\"] } }\n[probes.p]\ntcp = { port = 1 }\n[gates.g]\nexec = { command = \
             [\"/bin/ask\"] }\n",
            &["gate g: /bin/ask", "fence: /bin/tell"],
        );
    }
}
