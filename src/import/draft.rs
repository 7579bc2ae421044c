//! The policy that an importer is making, and how it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};

use super::note::Note;
use crate::geo::Network;

/// The longest name of a region or probe.
const MOST_NAME: usize = 63;

/// A policy in the making.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) regions: BTreeMap<String, RegionDraft>,
    pub(super) probes: BTreeMap<String, ProbeDraft>,
    pub(super) hubs: BTreeMap<String, HubDraft>,
    /// The file of `[geo]`, if anything needs one.
    pub(super) database: Option<String>,
    /// Comments at the head of the file.
    pub(super) head: Vec<String>,
    pub(super) notes: Vec<Note>,
}

/// A region in the making.
#[derive(Default)]
pub(super) struct RegionDraft {
    pub(super) location: Option<(f64, f64)>,
    pub(super) remarks: Vec<String>,
}

/// A probe in the making.
#[derive(Clone, Default)]
pub(super) struct ProbeDraft {
    /// The key and table of its kind.
    pub(super) kind: String,
    /// The other keys, as they are written.
    pub(super) keys: Vec<(&'static str, String)>,
    pub(super) remarks: Vec<String>,
}

/// A hub in the making.
#[derive(Clone, Default)]
pub(super) struct HubDraft {
    pub(super) policy: &'static str,
    /// The other keys but `endpoints`, as they are written.
    pub(super) keys: Vec<(&'static str, String)>,
    pub(super) endpoints: Vec<EndpointDraft>,
    pub(super) remarks: Vec<String>,
}

/// An endpoint in the making.
#[derive(Clone, Default)]
pub(super) struct EndpointDraft {
    pub(super) region: String,
    /// `cname`, `addresses`, `records` or `hub`, and its value.
    pub(super) answer: (&'static str, String),
    /// Good endpoints that are needed of a hub inside.
    pub(super) at_least: Option<u64>,
    pub(super) weight: Option<u32>,
    pub(super) probe: Option<String>,
    pub(super) target: Option<String>,
}

impl Draft {
    /// Something that could not be carried over and has no place in the file but its head.
    pub(super) fn note(&mut self, about: impl Into<String>, sentence: impl Into<String>) {
        let note = Note { about: about.into(), sentence: sentence.into() };
        if !self.notes.contains(&note) {
            self.head.push(note.to_string());
            self.notes.push(note);
        }
    }

    /// A note that stands as a comment elsewhere.
    pub(super) fn note_elsewhere(&mut self, about: impl Into<String>, sentence: impl Into<String>) {
        let note = Note { about: about.into(), sentence: sentence.into() };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Takes a hub, whose remarks become notes about its owner name.
    pub(super) fn add_hub(&mut self, owner: &str, hub: HubDraft) {
        for remark in &hub.remarks {
            self.note_elsewhere(owner, remark.clone());
        }
        for endpoint in &hub.endpoints {
            self.regions.entry(endpoint.region.clone()).or_default();
        }
        self.hubs.insert(owner.into(), hub);
    }

    /// Takes a probe, whose remarks become notes about what it was.
    pub(super) fn add_probe(&mut self, name: &str, about: &str, probe: ProbeDraft) {
        for remark in &probe.remarks {
            self.note_elsewhere(about, remark.clone());
        }
        self.probes.insert(name.into(), probe);
    }

    /// The file; `title` is its first sentence.
    pub(super) fn write(&self, title: &str) -> String {
        let mut text = String::new();
        comment(&mut text, title);
        for line in &self.head {
            text.push_str("#\n");
            comment(&mut text, line);
        }
        if let Some(database) = &self.database {
            let _ = write!(text, "\n[geo]\ndatabase = {}\n", quoted(database));
        }
        let used = self.used_probes();
        for (name, probe) in self.probes.iter().filter(|(name, _)| used.contains(name.as_str())) {
            let _ = write!(text, "\n[probes.{name}]\n");
            probe.remarks.iter().for_each(|remark| comment(&mut text, remark));
            let _ = writeln!(text, "{}", probe.kind);
            write_keys(&mut text, &probe.keys);
        }
        for (name, region) in &self.regions {
            let _ = write!(text, "\n[regions.{name}]\n");
            region.remarks.iter().for_each(|remark| comment(&mut text, remark));
            if let Some((latitude, longitude)) = region.location {
                let _ = writeln!(text, "location = [{latitude:?}, {longitude:?}]");
            }
        }
        for (name, hub) in &self.hubs {
            let _ = write!(text, "\n[hubs.{}]\n", quoted(name));
            hub.remarks.iter().for_each(|remark| comment(&mut text, remark));
            let _ = writeln!(text, "policy = {}", quoted(hub.policy));
            write_keys(&mut text, &hub.keys);
            text.push_str("endpoints = [\n");
            hub.endpoints.iter().for_each(|endpoint| endpoint.write(&mut text));
            text.push_str("]\n");
        }
        text
    }

    /// The probes that endpoints name, and those that they are made of.
    fn used_probes(&self) -> BTreeSet<&str> {
        let endpoints = self.hubs.values().flat_map(|hub| &hub.endpoints);
        let mut used: BTreeSet<&str> = endpoints.filter_map(|endpoint| endpoint.probe.as_deref()).collect();
        loop {
            let inside = self.probes.iter().filter(|(name, probe)| {
                let name = quoted(name);
                used.iter().filter_map(|used| self.probes.get(*used)).any(|outer| {
                    outer.kind.starts_with("composite") && outer.kind.contains(&name) && outer.kind != probe.kind
                })
            });
            let more: BTreeSet<&str> = inside.map(|(name, _)| name.as_str()).collect();
            let before = used.len();
            used.extend(more);
            if used.len() == before {
                return used;
            }
        }
    }
}

impl EndpointDraft {
    fn write(&self, text: &mut String) {
        let (key, answer) = &self.answer;
        let _ = write!(text, "  {{ region = {}, {key} = {answer}", quoted(&self.region));
        if let Some(least) = self.at_least {
            let _ = write!(text, ", at_least = {least}");
        }
        if let Some(weight) = self.weight {
            let _ = write!(text, ", weight = {weight}");
        }
        if let Some(probe) = &self.probe {
            let _ = write!(text, ", probe = {}", quoted(probe));
        }
        if let Some(target) = &self.target {
            let _ = write!(text, ", target = {target}");
        }
        text.push_str(" },\n");
    }
}

impl HubDraft {
    /// A hub of some policy, with the TTL of its answers in seconds.
    pub(super) fn new(policy: &'static str, ttl: u64) -> Self {
        let mut hub = Self { policy, ..Self::default() };
        let held = ttl.clamp(5, 86_400);
        if held != ttl {
            hub.remarks.push(format!("a TTL of {ttl} s is outside what a hub may have, and becomes {held} s"));
        }
        hub.set("ttl", quoted(&seconds(held)));
        hub
    }

    /// Sets a key to a value as it is written.
    pub(super) fn set(&mut self, key: &'static str, value: String) {
        self.keys.push((key, value));
    }

    /// That the better region takes over again by itself, as soon as it can, and that the first one is answered when all
    /// are down: what other servers do and call nothing.
    pub(super) fn fail_back_at_once(&mut self) {
        self.set("failback", "{ after = \"1s\" }".into());
        if let [first, _, ..] = self.endpoints.as_slice() {
            let region = format!("{{ region = {} }}", quoted(&first.region));
            self.set("when_all_down", region);
        }
    }
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A list of texts as TOML writes it.
pub(super) fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// So many seconds as a duration with the fewest units.
pub(super) fn seconds(count: u64) -> String {
    crate::document::show_duration(std::time::Duration::from_secs(count))
}

/// A name of a region or probe made of what something was called.
pub(super) fn slug(parts: &[&str]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let joined: String = parts.join("-").chars().map(plain).collect();
    let name: String = joined.trim_start_matches(['-', '_']).chars().take(MOST_NAME).collect();
    let name = name.trim_end_matches('-');
    if name.is_empty() { "unnamed".into() } else { name.into() }
}

/// The /64 that a longer prefix of IPv6 is in, for all hosts of one are one client.
pub(super) fn one_client(subnet: &str) -> Option<String> {
    let subnet: ipnet::Ipv6Net = subnet.parse().ok()?;
    let client = ipnet::Ipv6Net::new(subnet.network(), Network::IPV6_BITS).ok()?;
    (subnet.prefix_len() > Network::IPV6_BITS).then(|| client.trunc().to_string())
}

/// Names that are made of others, so that no two things get one name.
#[derive(Default)]
pub(super) struct Names {
    given: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl Names {
    /// The name for what `key` stands for: the slug of `parts`, with a number where that is taken.
    pub(super) fn name(&mut self, key: &str, parts: &[&str]) -> String {
        if let Some(given) = self.given.get(key) {
            return given.clone();
        }
        let slug = slug(parts);
        let numbered = (2..).map(|number| {
            let end = format!("-{number}");
            let room = slug.len().min(MOST_NAME - end.len());
            format!("{}{end}", &slug[..room])
        });
        let free = std::iter::once(slug.clone()).chain(numbered).find(|name| !self.taken.contains(name));
        let name = free.unwrap_or(slug);
        self.taken.insert(name.clone());
        self.given.insert(key.into(), name.clone());
        name
    }
}

fn write_keys(text: &mut String, keys: &[(&'static str, String)]) {
    for (key, value) in keys {
        let _ = writeln!(text, "{key} = {value}");
    }
}

/// A comment of lines of at most 118 columns.
fn comment(text: &mut String, sentence: impl Display) {
    let mut line = String::from("#");
    for word in sentence.to_string().split_whitespace() {
        if line.len() + word.len() > 117 {
            text.push_str(&line);
            text.push('\n');
            line = String::from("#  ");
        }
        line.push(' ');
        line.push_str(&word.replace(char::is_control, "?"));
    }
    text.push_str(&line);
    text.push('\n');
}
