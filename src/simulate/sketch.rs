//! A policy as the simulator thinks of it, and the text that the daemon reads instead.
//!
//! The checker knows the sketch and never the daemon's own [`Policy`](crate::policy::Policy): what the policy's reader
//! makes of the text is under test like everything else.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::dice::Dice;
use crate::answer::compile::compile;
use crate::control::event::{Loaded, Stamps};
use crate::diagnostic::Source;
use crate::dns::Name;
use crate::{policy, zone};

/// The regions that may be in a sketch.
pub const REGIONS: [&str; 4] = ["westeurope", "northeurope", "eastus", "southeastasia"];
/// The hubs that may be in a sketch.
pub const HUBS: [&str; 6] =
    ["a.example.net.", "b.example.net.", "c.example.net.", "d.example.net.", "e.example.net.", "f.example.net."];
/// The probes that may be in a sketch.
pub const PROBES: [&str; 2] = ["broker", "portal"];

/// The gates that may be in a sketch: the first two are looked at, the last is acknowledged.
pub const GATES: [&str; 3] = ["registry-complete", "change-window", "merged-back"];
/// The gate that operators acknowledge, by position in [`GATES`].
pub const ACK: usize = 2;
/// Where references are: no region of any hub.
pub const OUTSIDE: &str = "resolver";

const ZONE: &str = "@ 300 IN SOA ns h 1 2 3 4 5\n@ 300 IN NS ns\nns 300 IN A 192.0.2.1\n";

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// By position in [`PROBES`].
    pub probes: Vec<ProbeSketch>,
    /// The hubs, by name.
    pub hubs: BTreeMap<&'static str, HubSketch>,
    /// How many hosts are references; they are probed by the first probe.
    pub references: u8,
    /// By position in [`GATES`]. Not of the one that is acknowledged.
    pub gates: Vec<GateSketch>,
    /// The safety rules.
    pub rules: Vec<RuleSketch>,
}

/// How a gate is looked at; times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateSketch {
    /// Time between two looks.
    pub interval: u64,
    /// Age from which evidence counts as shut.
    pub max_age: u64,
}

/// A safety rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleSketch {
    /// So many of these endpoints are active, at least (true) or at most.
    Count(bool, u32, Vec<(&'static str, &'static str)>),
    /// This gate is open for every switch of this hub, or from and to this region.
    Gate(usize, Option<&'static str>, Option<&'static str>),
}

/// Where a hub uses a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UseSketch {
    /// By position in [`GATES`].
    pub gate: usize,
    /// Moves to a less preferred region pass it.
    pub failover: bool,
    /// Moves to a more preferred region pass it.
    pub failback: bool,
    /// Moves to this region alone pass it.
    pub to: Option<&'static str>,
    /// Seconds until a move passes all the same.
    pub proceed: Option<u64>,
}

/// A probe; times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSketch {
    /// Time between two observations.
    pub interval: u64,
    /// Time after which an observation has failed.
    pub timeout: u64,
    /// Time between two observations that contradict the health.
    pub confirm: u64,
    /// Failures in a row.
    pub fall: u32,
    /// Successes in a row.
    pub rise: u32,
}

impl ProbeSketch {
    /// The longest time from a failure to the verdict, in milliseconds.
    pub fn worst_detection(&self) -> u64 {
        self.worst(self.fall)
    }

    /// The longest time from the end of a failure to the verdict, in milliseconds.
    pub fn worst_recovery(&self) -> u64 {
        self.worst(self.rise)
    }

    /// A tenth of jitter on the first period, the observation itself, and what confirms it.
    fn worst(&self, in_a_row: u32) -> u64 {
        let confirm = (self.confirm * 11).div_ceil(10).max(self.timeout);
        (self.interval * 11).div_ceil(10) + self.timeout + confirm * u64::from(in_a_row - 1)
    }

    /// The longest silence of a prober that runs, in milliseconds: two intervals, a timeout and a second.
    pub fn patience(&self) -> u64 {
        self.interval * 22 / 10 + self.timeout + 1_000
    }
}

/// A hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSketch {
    /// Seconds.
    pub ttl: u64,
    /// Seconds.
    pub dwell: u64,
    /// Seconds; `None` is manual.
    pub failback: Option<u64>,
    /// What is answered when no endpoint may be chosen.
    pub resort: ResortSketch,
    /// In order of preference.
    pub endpoints: Vec<EndpointSketch>,
    /// Seconds; the TTL of troubled times.
    pub ttl_min: u64,
    /// Seconds.
    pub ttl_restore: u64,
    /// Gates, in order.
    pub gates: Vec<UseSketch>,
    /// So many automatic switches pin the hub.
    pub flap_limit: usize,
    /// Seconds.
    pub flap_window: u64,
    /// Switches an hour.
    pub budget: Option<usize>,
    /// Operators that a planned move needs.
    pub approvals: usize,
    /// The deadline in milliseconds, and whether a failure stops the switch.
    pub fence: Option<(u64, bool)>,
    /// Whether it may be drilled.
    pub canary: bool,
}

/// `when_all_down`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResortSketch {
    /// The last active region.
    Keep,
    /// All addresses.
    All,
    /// This region.
    Region(&'static str),
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSketch {
    /// Its region.
    pub region: &'static str,
    /// Which of the region's hosts is probed.
    pub host: u8,
    /// Which probe; `None` when nothing is probed.
    pub probe: Option<usize>,
}

/// A probe and what it is pointed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aim {
    /// By position in [`PROBES`].
    pub probe: usize,
    /// What is probed.
    pub host: Host,
}

/// One of a region's hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    /// The region.
    pub region: &'static str,
    /// Which one.
    pub number: u8,
}

impl std::fmt::Display for Aim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", PROBES[self.probe], self.host)
    }
}

/// The name that is dialled.
impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "h{}.{}.example.org.", self.number, self.region)
    }
}

impl EndpointSketch {
    /// What is probed.
    pub fn aim(&self) -> Option<Aim> {
        Some(Aim { probe: self.probe?, host: Host { region: self.region, number: self.host } })
    }
}

impl HubSketch {
    /// The position of a region.
    pub fn position(&self, region: &str) -> Option<usize> {
        self.endpoints.iter().position(|endpoint| endpoint.region == region)
    }
}

impl Sketch {
    /// A random policy.
    pub fn random(dice: &mut Dice) -> Self {
        let probes = PROBES.iter().map(|_| ProbeSketch::random(dice)).collect();
        let regions = &REGIONS[..dice.between(2, 4) as usize];
        let count = *dice.pick(&[1, 1, 2, 2, 3, 4, 6]);
        let hubs = HUBS[..count].iter().map(|hub| (*hub, HubSketch::random(dice, regions))).collect();
        let looks = (0..ACK).map(|_| *dice.pick(&[1_000, 5_000, 10_000]));
        let gates = looks.map(|interval| GateSketch { interval, max_age: 3 * interval + 1_000 }).collect();
        let references = *dice.pick(&[0, 0, 1, 2]);
        let mut sketch = Self { probes, hubs, references, gates, rules: Vec::new() };
        if dice.percent(35) {
            for _ in 0..dice.between(1, 2) {
                sketch.rules.push(RuleSketch::random(dice, &sketch.hubs));
            }
        }
        sketch.settle();
        sketch
    }

    /// Leaves nothing in it that names what is not there.
    pub fn settle(&mut self) {
        for hub in self.hubs.values_mut() {
            let known: Vec<_> = hub.endpoints.iter().map(|endpoint| endpoint.region).collect();
            hub.gates.retain(|used| used.to.is_none_or(|to| known.contains(&to)));
            if let ResortSketch::Region(region) = hub.resort
                && !known.contains(&region)
            {
                hub.resort = ResortSketch::Keep;
            }
        }
        let hubs = &self.hubs;
        let there = |hub: &str, region: &str| hubs.get(hub).is_some_and(|hub| hub.position(region).is_some());
        self.rules.retain_mut(|rule| match rule {
            RuleSketch::Count(_, count, of) => {
                of.retain(|(hub, region)| there(hub, region));
                // A hub with one endpoint is always there: a rule that always or never holds is refused.
                let always = of.iter().filter(|(hub, _)| hubs.get(hub).is_some_and(|hub| hub.endpoints.len() == 1));
                let count = *count as usize;
                of.len() > 1 && count < of.len() && count > always.count()
            }
            RuleSketch::Gate(_, hub, region) => {
                hub.is_none_or(|hub| hubs.contains_key(hub))
                    && region.is_none_or(|region| hubs.values().any(|hub| hub.position(region).is_some()))
            }
        });
    }

    /// Another policy that a file may be changed to.
    pub fn changed(&self, dice: &mut Dice) -> Self {
        let mut sketch = self.clone();
        for _ in 0..dice.between(1, 3) {
            sketch.change(dice);
        }
        sketch.settle();
        sketch
    }

    fn change(&mut self, dice: &mut Dice) {
        let regions: Vec<&str> = REGIONS.to_vec();
        let names: Vec<_> = self.hubs.keys().copied().collect();
        let hub = *dice.pick(&names);
        match dice.below(13) {
            0 => {
                let hub = *dice.pick(&HUBS);
                self.hubs.entry(hub).or_insert_with(|| HubSketch::random(dice, &regions));
            }
            1 if self.hubs.len() > 1 => drop(self.hubs.remove(hub)),
            9 => self.references = *dice.pick(&[0, 1, 2]),
            10 => self.rules.clear(),
            11 => self.rules.push(RuleSketch::random(dice, &self.hubs)),
            2 => self.probes[dice.below(PROBES.len() as u64) as usize] = ProbeSketch::random(dice),
            change => {
                let Some(hub) = self.hubs.get_mut(hub) else { return };
                let at = dice.below(hub.endpoints.len() as u64) as usize;
                match change {
                    3 if hub.endpoints.len() > 1 => drop(hub.endpoints.remove(at)),
                    4 => {
                        let region = *dice.pick(&regions);
                        if hub.position(region).is_none() {
                            hub.endpoints.insert(at, EndpointSketch::random(dice, region));
                        }
                    }
                    5 => hub.endpoints.rotate_left(at),
                    6 => hub.endpoints[at] = EndpointSketch::random(dice, hub.endpoints[at].region),
                    7 => {
                        hub.ttl = dice.between(5, 60);
                        hub.ttl_min = dice.between(5, hub.ttl);
                    }
                    _ => {
                        let other = HubSketch::random(dice, &regions);
                        (hub.dwell, hub.failback) = (other.dwell, other.failback);
                        (hub.gates, hub.fence, hub.budget) = (other.gates, other.fence, other.budget);
                        (hub.flap_limit, hub.flap_window) = (other.flap_limit, other.flap_window);
                    }
                }
            }
        }
    }

    /// What this node has to reach.
    pub fn references(&self) -> impl Iterator<Item = Aim> {
        (0..self.references).map(|number| Aim { probe: 0, host: Host { region: OUTSIDE, number } })
    }

    /// The gates that are used, by position.
    pub fn gates_used(&self) -> Vec<usize> {
        let hubs = self.hubs.values().flat_map(|hub| &hub.gates).map(|used| used.gate);
        let rules = self.rules.iter().filter_map(|rule| match rule {
            RuleSketch::Gate(gate, ..) => Some(*gate),
            RuleSketch::Count(..) => None,
        });
        hubs.chain(rules).collect()
    }

    /// The TOML text of the policy's file.
    pub fn toml(&self) -> String {
        let mut text = String::new();
        let mut regions: Vec<&str> = self.hubs.values().flat_map(|hub| &hub.endpoints).map(|e| e.region).collect();
        regions.sort_unstable();
        regions.dedup();
        for region in regions {
            put(&mut text, format_args!("[regions.{region}]"));
        }
        for number in 0..self.references {
            let (probe, host) = (PROBES[0], Host { region: OUTSIDE, number });
            put(&mut text, format_args!("\n[references.r{number}]\nprobe = \"{probe}\"\ntarget = \"{host}\""));
        }
        let of_rules = |gate| self.rules.iter().any(|rule| matches!(rule, RuleSketch::Gate(used, ..) if *used == gate));
        let of_hubs = |gate| self.hubs.values().flat_map(|hub| &hub.gates).any(|used| used.gate == gate);
        for (gate, name) in GATES.iter().enumerate().filter(|(gate, _)| of_rules(*gate) || of_hubs(*gate)) {
            put(&mut text, format_args!("\n[gates.{name}]"));
            match self.gates.get(gate) {
                None => put(&mut text, format_args!("ack = true")),
                Some(GateSketch { interval, max_age }) => {
                    put(&mut text, format_args!("exec = {{ command = [\"/usr/local/bin/{name}\"] }}"));
                    put(&mut text, format_args!("interval = \"{interval}ms\"\ntimeout = \"1s\""));
                    put(&mut text, format_args!("max_age = \"{max_age}ms\""));
                }
            }
        }
        for (number, rule) in self.rules.iter().enumerate() {
            put(&mut text, format_args!("\n[rules.s{number}]"));
            match rule {
                RuleSketch::Count(least, count, of) => {
                    let of: Vec<_> = of.iter().map(|(hub, region)| format!("\"{hub}/{region}\"")).collect();
                    let key = if *least { "at_least" } else { "at_most" };
                    put(&mut text, format_args!("{key} = {count}\nof = [{}]", of.join(", ")));
                }
                RuleSketch::Gate(gate, hub, region) => {
                    put(&mut text, format_args!("gate = \"{}\"", GATES[*gate]));
                    hub.iter().for_each(|hub| put(&mut text, format_args!("hubs = [\"{hub}\"]")));
                    region.iter().for_each(|region| put(&mut text, format_args!("regions = [\"{region}\"]")));
                }
            }
        }
        let used = |probe| {
            let watched = self.hubs.values().flat_map(|hub| &hub.endpoints).any(|e| e.probe == Some(probe));
            watched || (probe == 0 && self.references > 0)
        };
        for (at, probe) in self.probes.iter().enumerate().filter(|(at, _)| used(*at)) {
            let ProbeSketch { interval, timeout, confirm, fall, rise } = probe;
            put(&mut text, format_args!("\n[probes.{}]\ntcp = {{ port = 8883 }}", PROBES[at]));
            put(&mut text, format_args!("interval = \"{interval}ms\"\ntimeout = \"{timeout}ms\""));
            put(&mut text, format_args!("confirm = \"{confirm}ms\"\nfall = {fall}\nrise = {rise}"));
        }
        for (name, hub) in &self.hubs {
            let HubSketch { ttl, dwell, failback, resort, endpoints, ttl_min, ttl_restore, .. } = hub;
            put(&mut text, format_args!("\n[hubs.\"{name}\"]\npolicy = \"priority\"\nttl = \"{ttl}s\""));
            put(&mut text, format_args!("ttl_min = \"{ttl_min}s\"\nttl_restore = \"{ttl_restore}s\""));
            put(&mut text, format_args!("dwell = \"{dwell}s\""));
            put(&mut text, format_args!("flap_limit = {}\nflap_window = \"{}s\"", hub.flap_limit, hub.flap_window));
            if let Some(budget) = hub.budget {
                put(&mut text, format_args!("budget = \"{budget} per hour\""));
            }
            if hub.canary {
                put(&mut text, format_args!("canary = true"));
            }
            if hub.approvals > 1 {
                put(&mut text, format_args!("approvals = {}", hub.approvals));
            }
            if let Some((timeout, stop)) = hub.fence {
                let then = if stop { "stop" } else { "proceed" };
                let call = "exec = { command = [\"/usr/local/bin/fence\"] }";
                put(
                    &mut text,
                    format_args!("fence = {{ {call}, timeout = \"{timeout}ms\", on_failure = \"{then}\" }}"),
                );
            }
            let uses: Vec<_> = hub.gates.iter().map(UseSketch::toml).collect();
            if !uses.is_empty() {
                put(&mut text, format_args!("gates = [{}]", uses.join(", ")));
            }
            match failback {
                None => put(&mut text, format_args!("failback = \"manual\"")),
                Some(after) => put(&mut text, format_args!("failback = {{ after = \"{after}s\" }}")),
            }
            match resort {
                ResortSketch::Keep => {}
                ResortSketch::All => put(&mut text, format_args!("when_all_down = \"all\"")),
                ResortSketch::Region(region) => {
                    put(&mut text, format_args!("when_all_down = {{ region = \"{region}\" }}"));
                }
            }
            put(&mut text, format_args!("endpoints = ["));
            for (at, EndpointSketch { region, host, probe }) in endpoints.iter().enumerate() {
                let answer = match resort {
                    ResortSketch::All => format!("addresses = [\"192.0.2.{}\"]", at + 10),
                    _ => format!("cname = \"{at}.{region}.example.org.\""),
                };
                let probe = probe.map(|probe| {
                    let host = Host { region, number: *host };
                    format!(", probe = \"{}\", target = \"{host}\"", PROBES[probe])
                });
                put(&mut text, format_args!("  {{ region = \"{region}\", {answer}{} }},", probe.unwrap_or_default()));
            }
            put(&mut text, format_args!("]"));
        }
        text
    }

    /// What the daemon reads of it.
    ///
    /// # Errors
    /// The problems that the readers find, which is a defect of the sketch.
    pub fn load(&self) -> Result<Loaded, String> {
        let sources = [Source::new("zones/example.net.toml", self.toml())];
        let apex = Name::parse("example.net.", None).map_err(|error| error.to_string())?;
        let hubs = policy::hub_names(&sources);
        let path = Path::new("zones/example.net.zone");
        let (zone, mut problems) = zone::read_beside_hubs(path, &apex, &hubs, &mut |_| Ok(Box::new(ZONE.as_bytes())));
        let zones: Vec<_> = zone.into_iter().collect();
        let (read, more) = policy::read(&sources, &zones);
        problems.extend(more);
        let told = || problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        let Some(policy) = read else { return Err(format!("{}\n{}", told().join("\n"), self.toml())) };
        let content = compile(zones.into_iter().map(|zone| zone.tree).collect(), &policy)
            .map_err(|refused| refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        let (policy, content, warnings) = (Arc::new(policy), Arc::new(content), told());
        Ok(Loaded {
            policy,
            content,
            warnings,
            read: Duration::ZERO,
            compile: Duration::ZERO,
            stamps: Stamps::default(),
        })
    }
}

impl ProbeSketch {
    fn random(dice: &mut Dice) -> Self {
        let interval = *dice.pick(&[1_000, 2_000, 5_000, 5_000, 10_000]);
        let timeout = (*dice.pick(&[100, 500, 1_000, 2_000])).min(interval);
        let confirm = (*dice.pick(&[200, 500, 1_000, 2_000])).min(interval);
        let (fall, rise) = (dice.between(1, 4) as u32, dice.between(1, 5) as u32);
        Self { interval, timeout, confirm, fall, rise }
    }
}

impl HubSketch {
    fn random(dice: &mut Dice, regions: &[&'static str]) -> Self {
        let mut regions = regions.to_vec();
        let shift = dice.below(regions.len() as u64) as usize;
        regions.rotate_left(if dice.percent(60) { 0 } else { shift });
        let least = if dice.percent(5) { 1 } else { 2 };
        regions.truncate(dice.between(least, 4) as usize);
        let resort = match dice.below(10) {
            0..6 => ResortSketch::Keep,
            6..8 => ResortSketch::All,
            _ => ResortSketch::Region(regions[dice.below(regions.len() as u64) as usize]),
        };
        let ttl = dice.between(5, 60);
        let mut gates = Vec::new();
        if dice.percent(35) {
            for gate in 0..GATES.len() {
                if dice.percent(50) {
                    let (failover, failback) = *dice.pick(&[(true, false), (false, true), (true, true)]);
                    let to =
                        if dice.percent(25) { Some(regions[dice.below(regions.len() as u64) as usize]) } else { None };
                    let proceed = *dice.pick(&[None, Some(1), Some(20), Some(120)]);
                    gates.push(UseSketch { gate, failover, failback, to, proceed });
                }
            }
        }
        Self {
            ttl,
            ttl_min: if dice.percent(50) { ttl } else { dice.between(5, ttl) },
            ttl_restore: *dice.pick(&[0, 10, 60, 300]),
            gates,
            flap_limit: *dice.pick(&[1, 2, 3, 3, 8, 32]),
            flap_window: *dice.pick(&[60, 600, 3_600]),
            budget: *dice.pick(&[None, None, None, Some(1), Some(2), Some(5)]),
            approvals: if dice.percent(20) { 2 } else { 1 },
            fence: *dice.pick(&[None, None, None, None, Some((500, false)), Some((3_000, false)), Some((3_000, true))]),
            dwell: *dice.pick(&[0, 5, 20, 60, 60, 180]),
            failback: *dice.pick(&[None, None, Some(1), Some(10), Some(60), Some(300)]),
            resort,
            canary: false,
            endpoints: regions.iter().map(|region| EndpointSketch::random(dice, region)).collect(),
        }
    }
}

impl UseSketch {
    fn toml(&self) -> String {
        let Self { gate, failover, failback, to, proceed } = self;
        let on = match (failover, failback) {
            (true, true) => "both",
            (true, false) => "failover",
            (false, _) => "failback",
        };
        let to = to.map(|to| format!(", to = \"{to}\"")).unwrap_or_default();
        let proceed =
            proceed.map(|after| format!(", on_shut = {{ proceed_after = \"{after}s\" }}")).unwrap_or_default();
        format!("{{ gate = \"{}\", on = \"{on}\"{to}{proceed} }}", GATES[*gate])
    }

    /// Whether a move between two positions of a hub passes it.
    pub fn concerns(&self, from: usize, to: usize, region: &str) -> bool {
        let direction = if to < from { self.failback } else { self.failover };
        direction && self.to.is_none_or(|only| only == region)
    }
}

impl RuleSketch {
    fn random(dice: &mut Dice, hubs: &BTreeMap<&'static str, HubSketch>) -> Self {
        let names: Vec<_> = hubs.keys().copied().collect();
        let hub = *dice.pick(&names);
        let region = dice.pick(&hubs[hub].endpoints).region;
        match dice.below(4) {
            0 if dice.percent(50) => Self::Gate(dice.below(ACK as u64) as usize, Some(hub), None),
            0 => Self::Gate(dice.below(ACK as u64) as usize, None, Some(region)),
            kind => {
                let of = names.iter().filter(|name| hubs[*name].position(region).is_some());
                let of: Vec<_> = of.map(|name| (*name, region)).collect();
                let count = 1 + dice.below(of.len() as u64 - 1) as u32;
                Self::Count(kind == 1, count, of)
            }
        }
    }
}

impl EndpointSketch {
    fn random(dice: &mut Dice, region: &'static str) -> Self {
        let probe = if dice.percent(6) { None } else { Some(dice.below(PROBES.len() as u64) as usize) };
        Self { region, host: dice.below(2) as u8, probe }
    }
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // A string takes everything.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is drawn is a policy that the daemon accepts.
    #[test]
    fn every_sketch_is_a_policy() {
        let mut dice = Dice::new(1);
        for _ in 0..300 {
            let sketch = Sketch::random(&mut dice);
            for sketch in [sketch.changed(&mut dice), sketch] {
                let loaded = sketch.load().unwrap();
                assert_eq!(loaded.policy.hubs.len(), sketch.hubs.len());
                let probed = sketch.hubs.values().flat_map(|hub| &hub.endpoints).filter_map(EndpointSketch::aim);
                let probed = probed.chain(sketch.references());
                let probed: std::collections::BTreeSet<_> = probed.map(|aim| aim.to_string()).collect();
                let targets: std::collections::BTreeSet<_> =
                    loaded.policy.probe_targets().iter().map(ToString::to_string).collect();
                assert_eq!(targets, probed);
            }
        }
    }
}
