//! How a hub selects an endpoint: `policy`, and the keys that go with one policy alone.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv6Net};

use super::super::{Answer, GeoEntry, GeoMap, Origin, Prefixes, RegionName, Selection};
use super::definitions::Definitions;
use super::endpoint::EndpointDraft;
use super::iso;
use crate::diagnostic::{Diagnostic, Place, closest};
use crate::document::{Setting, Table, Value, one_of};
use crate::geo::Network;

const POLICIES: [(&str, Word); 6] = [
    ("priority", Word::Priority),
    ("weighted", Word::Weighted),
    ("geo", Word::Geo),
    ("nearest", Word::Nearest),
    ("all", Word::All),
    ("sticky", Word::Sticky),
];
/// What other systems call a policy.
const CALLED: [(&str, Word); 16] = [
    ("failover", Word::Priority),
    ("simplefo", Word::Priority),
    ("metafo", Word::Priority),
    ("roundrobin", Word::Weighted),
    ("wrr", Word::Weighted),
    ("weight", Word::Weighted),
    ("geographic", Word::Geo),
    ("geolocation", Word::Geo),
    ("geoip", Word::Geo),
    ("subnet", Word::Geo),
    ("latency", Word::Nearest),
    ("performance", Word::Nearest),
    ("geoproximity", Word::Nearest),
    ("multivalue", Word::All),
    ("multifo", Word::All),
    ("hash", Word::Sticky),
];
const ORIGINS: [&str; 4] = ["subnet", "asn", "country", "continent"];
const MOST_ENTRIES: usize = 100_000;
const MAP_EXAMPLE: &str = "`map = [{ continent = \"EU\", to = [\"westeurope\"] }]`";
const TO_EXAMPLE: &str = "such as `[\"westeurope\"]`";
const SUBNET_EXAMPLE: &str = "such as \"192.0.2.0/24\" or \"2001:db8::/32\"";

/// The policies by their words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Priority,
    Weighted,
    Geo,
    Nearest,
    All,
    Sticky,
}

impl Word {
    fn text(self) -> &'static str {
        POLICIES.iter().find(|(_, word)| *word == self).map_or("", |(text, _)| text)
    }
}

/// A region that a list names.
struct Listed {
    region: RegionName,
    place: Place,
}

/// An entry of a map without mistakes of its own.
struct EntryDraft {
    origin: Origin,
    place: Place,
    to: Vec<Listed>,
}

/// The keys that say how an endpoint is selected, as far as they could be read.
pub(super) struct Selecting {
    policy: Setting<Word>,
    map: Setting<Vec<Option<EntryDraft>>>,
    default: Setting<Vec<Listed>>,
    most: Setting<u8>,
    prefixes: Setting<Prefixes>,
}

/// What a hub needs of `[geo]`.
#[derive(Default)]
pub(super) struct Needs {
    /// What needs `database`, and where it stands.
    pub(super) database: Option<(&'static str, Place)>,
    /// Where an `asn` stands.
    pub(super) asn: Option<Place>,
}

impl Selecting {
    pub(super) fn read(
        table: &mut Table<'_>,
        definitions: &mut Definitions<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            policy: table.setting("policy", problems, read_policy),
            map: table.setting("map", problems, |value, problems| {
                let entries = value.list("a list of entries", MAP_EXAMPLE, MOST_ENTRIES, problems)?;
                if entries.is_empty() {
                    let problem = value.error("`map` is empty, expected at least one entry");
                    problems.push(problem.hint(format!("write {MAP_EXAMPLE}, or remove it")));
                    return None;
                }
                Some(entries.iter().map(|entry| read_entry(entry, definitions, problems)).collect())
            }),
            default: table.setting("default", problems, |value, problems| read_to(value, definitions, problems)),
            most: table.setting("most", problems, |value, problems| {
                let most = value.integer(1..=Selection::MOST_USABLE as i64, problems)?;
                u8::try_from(most).ok()
            }),
            prefixes: table.setting("prefixes", problems, read_prefixes),
        }
    }

    /// Whether the hub has no active region; `None` when its policy is not known.
    pub(super) fn is_stateless(&self) -> Option<bool> {
        Some(self.word()? != Word::Priority)
    }

    /// Whether the addresses of so many endpoints, the hub's, may be answered together. `all_down`: whether
    /// `when_all_down` says "all".
    pub(super) fn answers_all(&self, endpoints: usize, all_down: bool) -> bool {
        let most = self.most.clone().or(Selection::MOST_USABLE as u8).map_or(0, usize::from);
        match self.word() {
            Some(Word::Priority) | None => all_down,
            Some(Word::All) => most >= endpoints,
            Some(_) => false,
        }
    }

    fn word(&self) -> Option<Word> {
        self.policy.clone().or(Word::Priority)
    }

    /// The keys together, and against the endpoints of the hub, which is called `what`. `active` are the keys that need an
    /// active region, with where they stand.
    pub(super) fn check(
        &self,
        what: &str,
        endpoints: &[EndpointDraft],
        active: &[(&'static str, Option<Place>)],
        definitions: &Definitions<'_>,
        problems: &mut Vec<Diagnostic>,
    ) {
        let Some(word) = self.word() else { return };
        self.check_keys(word, endpoints, active, problems);
        if word == Word::Priority {
            return;
        }
        if endpoints.len() > Selection::MOST_USABLE {
            let place = self.place(endpoints);
            let (count, most) = (endpoints.len(), Selection::MOST_USABLE);
            let message =
                format!("{what} has {count} endpoints, expected at most {most} under policy \"{}\"", word.text());
            let hint = "put some of them into a hub of their own, and name that with `hub = \"NAME.\"`";
            problems.push(Diagnostic::error(place, message).hint(hint));
        }
        match word {
            Word::Weighted => check_weights(what, endpoints, problems),
            Word::All => check_addresses(endpoints, problems),
            Word::Nearest => check_locations(endpoints, definitions, problems),
            Word::Priority | Word::Geo | Word::Sticky => {}
        }
        if let (Word::Geo, false, Some((_, place))) = (word, self.map.is_written(), self.policy.placed()) {
            let message = format!("{what} has no `map`, which policy \"geo\" selects by");
            problems.push(Diagnostic::error(place.clone(), message).hint(format!("add {MAP_EXAMPLE}")));
        }
        self.check_lists(what, endpoints, problems);
        self.check_origins(problems);
    }

    /// What has no meaning under this policy.
    fn check_keys(
        &self,
        word: Word,
        endpoints: &[EndpointDraft],
        active: &[(&'static str, Option<Place>)],
        problems: &mut Vec<Diagnostic>,
    ) {
        let text = word.text();
        for (key, place) in active.iter().filter(|_| word != Word::Priority) {
            if let Some(place) = place {
                let message = format!("`{key}` has no meaning under policy \"{text}\": the hub has no active region");
                problems
                    .push(Diagnostic::error(place.clone(), message).hint("remove it, or write policy \"priority\""));
            }
        }
        let mapped = matches!(word, Word::Geo | Word::Nearest);
        let own = [
            ("map", self.map.place(), mapped, "\"geo\" or \"nearest\""),
            ("default", self.default.place(), mapped, "\"geo\" or \"nearest\""),
            ("most", self.most.place(), word == Word::All, "\"all\""),
            ("prefixes", self.prefixes.place(), word == Word::Sticky, "\"sticky\""),
        ];
        let weights = endpoints.iter().filter_map(|endpoint| endpoint.weight.place());
        let weights = weights.map(|place| ("weight", Some(place), word == Word::Weighted, "\"weighted\""));
        for (key, place, _, policies) in own.into_iter().chain(weights).filter(|(_, _, belongs, _)| !belongs) {
            if let Some(place) = place {
                let message = format!("`{key}` has no meaning under policy \"{text}\"");
                problems.push(Diagnostic::error(place, message).hint(format!("remove it, or write policy {policies}")));
            }
        }
    }

    /// Every region of `map` and `default` is one of the hub's.
    fn check_lists(&self, what: &str, endpoints: &[EndpointDraft], problems: &mut Vec<Diagnostic>) {
        let regions: Option<Vec<&RegionName>> = endpoints.iter().map(|endpoint| endpoint.region.as_ref()).collect();
        let Some(regions) = regions.filter(|regions| !regions.is_empty()) else { return };
        let entries = self.entries().map(|entry| ("to", entry.to.as_slice()));
        let default = self.default.placed().map(|(default, _)| ("default", default.as_slice()));
        for (key, listed) in entries.chain(default) {
            for Listed { region, place } in listed.iter().filter(|listed| !regions.contains(&&listed.region)) {
                let message = format!("`{key}` names region `{region}`, in which {what} has no endpoint");
                let names: Vec<&str> = regions.iter().map(|region| region.as_str()).collect();
                let hint = match closest(region.as_str(), names.iter().copied()) {
                    Some(close) => format!("did you mean \"{close}\"?"),
                    None => format!("write {}, or add an endpoint", one_of(names)),
                };
                problems.push(Diagnostic::error(place.clone(), message).hint(hint));
            }
        }
    }

    /// No origin twice, and no subnet that says what the one around it says.
    fn check_origins(&self, problems: &mut Vec<Diagnostic>) {
        let mut first: BTreeMap<&Origin, &EntryDraft> = BTreeMap::new();
        for entry in self.entries() {
            if let Some(earlier) = first.get(&entry.origin) {
                let message = format!("{} is in the map twice", entry.origin);
                let problem = Diagnostic::error(entry.place.clone(), message);
                problems.push(problem.related(earlier.place.clone(), "first here").hint("keep one of the two"));
            } else {
                first.insert(&entry.origin, entry);
            }
        }
        for (origin, entry) in &first {
            let Origin::Subnet(subnet) = origin else { continue };
            let around = std::iter::successors(subnet.supernet(), IpNet::supernet)
                .find_map(|around| first.get_key_value(&Origin::Subnet(around)));
            let Some((Origin::Subnet(around), outer)) = around.map(|(around, outer)| (*around, *outer)) else {
                continue;
            };
            let list = |entry: &EntryDraft| entry.to.iter().map(|listed| listed.region.clone()).collect::<Vec<_>>();
            if list(entry) == list(outer) {
                let message = format!("{subnet} is answered as {around}, in which it is: the entry changes nothing");
                let problem = Diagnostic::warning(entry.place.clone(), message);
                problems.push(problem.related(outer.place.clone(), "the subnet around it").hint("remove it"));
            }
        }
    }

    fn entries(&self) -> impl Iterator<Item = &EntryDraft> {
        self.map.placed().into_iter().flat_map(|(entries, _)| entries.iter().flatten())
    }

    /// Where the hub's policy is to be blamed.
    fn place(&self, endpoints: &[EndpointDraft]) -> Place {
        self.policy.place().unwrap_or_else(|| endpoints[0].region_place.clone())
    }

    /// What the hub needs of `[geo]`.
    pub(super) fn needs(&self) -> Needs {
        let of = |is: fn(&Origin) -> bool| self.entries().find(|entry| is(&entry.origin)).map(|e| e.place.clone());
        let word = self.word();
        if !matches!(word, Some(Word::Geo | Word::Nearest)) {
            return Needs::default();
        }
        let nearest = self.policy.place().filter(|_| word == Some(Word::Nearest));
        let nearest = nearest.map(|place| ("policy \"nearest\"", place));
        let country = || of(|origin| matches!(origin, Origin::Country(_))).map(|place| ("`country`", place));
        let continent = || of(|origin| matches!(origin, Origin::Continent(_))).map(|place| ("`continent`", place));
        Needs {
            database: nearest.or_else(country).or_else(continent),
            asn: of(|origin| matches!(origin, Origin::Asn(_))),
        }
    }

    /// The selection, if nothing in its keys is wrong.
    pub(super) fn finish(&self, definitions: &mut Definitions<'_>) -> Option<Selection> {
        let names = |listed: &[Listed]| listed.iter().map(|listed| listed.region.clone()).collect::<Vec<_>>();
        let mut map = || {
            let entries = match self.map.placed() {
                Some((entries, _)) => entries.iter().map(Option::as_ref).collect::<Option<Vec<_>>>()?,
                None if self.map.is_written() => return None,
                None => Vec::new(),
            };
            let entries = entries.iter().map(|e| GeoEntry { origin: e.origin.clone(), to: names(&e.to) }).collect();
            let default = match self.default.placed() {
                Some((default, _)) => names(default),
                None if self.default.is_written() => return None,
                None => Vec::new(),
            };
            Some(definitions.share_map(GeoMap { entries, default }))
        };
        Some(match self.word()? {
            Word::Priority => Selection::Priority,
            Word::Weighted => Selection::Weighted,
            Word::Geo => Selection::Geo(map()?),
            Word::Nearest => Selection::Nearest(map()?),
            Word::All => Selection::All { most: self.most.clone().or(Selection::MOST_USABLE as u8)? },
            Word::Sticky => Selection::Sticky(self.prefixes.clone().or(Prefixes::default())?),
        })
    }
}

fn read_policy(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Word> {
    let squeezed = value.as_text().map(|text| text.replace(['-', '_', ' '], "").to_ascii_lowercase());
    let called = CALLED.iter().find(|(called, _)| Some(*called) == squeezed.as_deref());
    let Some((_, meant)) = called else { return value.word(&POLICIES, problems) };
    let expected = one_of(POLICIES.map(|(text, _)| text)).replace('`', "\"");
    problems.push(value.mismatch(&expected, &format!("\"{}\", which is what this is called here", meant.text())));
    None
}

fn read_entry(
    value: &Value<'_>,
    definitions: &mut Definitions<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<EntryDraft> {
    const EXAMPLE: &str = "a table: `{ continent = \"EU\", to = [\"westeurope\"] }`";
    let mut table = value.table("the entry of `map`", EXAMPLE, problems)?;
    let origins = [
        table.setting("subnet", problems, |value, problems| read_subnet(value, problems).map(Origin::Subnet)),
        table.setting("asn", problems, |value, problems| {
            let number = value.integer(1..=i64::from(u32::MAX), problems)?;
            u32::try_from(number).ok().map(Origin::Asn)
        }),
        table.setting("country", problems, |value, problems| read_country(value, problems).map(Origin::Country)),
        table.setting("continent", problems, |value, problems| read_continent(value, problems).map(Origin::Continent)),
    ];
    let to = table.setting("to", problems, |value, problems| read_to(value, definitions, problems));
    if !to.is_written() {
        table.missing("to", format!("add `to`, {TO_EXAMPLE}"), problems);
    }
    let written: Vec<_> = ORIGINS.into_iter().zip(&origins).filter(|(_, origin)| origin.is_written()).collect();
    let place = value.place();
    match written.as_slice() {
        [] => {
            let hint = format!("add {}", one_of(ORIGINS));
            table.missing_one(&ORIGINS, "origin", &hint, problems);
        }
        [_] => {}
        [(first, _), (second, origin), ..] => {
            let message = format!("the entry has two origins, `{first}` and `{second}`, expected exactly one");
            let problem = Diagnostic::error(origin.place().unwrap_or_else(|| place.clone()), message);
            problems.push(problem.hint("write an entry for each of the two"));
        }
    }
    let only = written.len() == 1;
    table.close(problems);
    let origin = origins.into_iter().find_map(Setting::good).filter(|_| only)?;
    Some(EntryDraft { origin, place, to: to.good()? })
}

fn read_subnet(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<IpNet> {
    let text = value.text("a subnet", SUBNET_EXAMPLE, problems)?;
    let subnet = match (text.parse::<IpNet>(), text.parse::<std::net::IpAddr>()) {
        (Ok(subnet), _) => subnet,
        (Err(_), Ok(address)) => {
            let message = format!("{} is \"{text}\", an address without the length of its prefix", value.what());
            let whole = IpNet::from(address);
            problems.push(value.error(message).hint(format!("write \"{}\"", one_client(whole).unwrap_or(whole))));
            return None;
        }
        (Err(_), Err(_)) => {
            problems.push(value.mismatch("a subnet", SUBNET_EXAMPLE));
            return None;
        }
    };
    if subnet.trunc() != subnet {
        let message = format!("{} is {subnet}, which has bits beyond its prefix", value.what());
        problems.push(value.error(message).hint(format!("write \"{}\"", subnet.trunc())));
        return None;
    }
    if let IpNet::V6(v6) = subnet
        && let Some(v4) = mapped(v6)
    {
        let message = format!("{} is {subnet}, in which no client has its address", value.what());
        problems.push(value.error(message).hint(format!("write \"{v4}\"")));
        return None;
    }
    if let Some(client) = one_client(subnet) {
        let message = format!(
            "{} is {subnet}, expected a length of at most {} for IPv6, within which all hosts are one client",
            value.what(),
            Network::IPV6_BITS
        );
        problems.push(value.error(message).hint(format!("write \"{client}\"")));
        return None;
    }
    Some(subnet)
}

/// The network that a subnet is a part of, where that is one client to us.
fn one_client(subnet: IpNet) -> Option<IpNet> {
    let IpNet::V6(subnet) = subnet else { return None };
    let client = Ipv6Net::new(subnet.network(), Network::IPV6_BITS).ok()?;
    (subnet.prefix_len() > Network::IPV6_BITS).then(|| client.trunc().into())
}

/// The subnet of IPv4 that an IPv4-mapped one of IPv6 stands for.
fn mapped(subnet: Ipv6Net) -> Option<IpNet> {
    let v4 = subnet.network().to_ipv4_mapped()?;
    IpNet::new(v4.into(), subnet.prefix_len().checked_sub(96)?).ok()
}

fn read_country(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<[u8; 2]> {
    const EXPECTED: &str = "the code of a country, two capital letters";
    const EXAMPLE: &str = "such as \"DE\" (ISO 3166-1)";
    let text = value.text(EXPECTED, EXAMPLE, problems)?;
    match iso::country(text) {
        Ok(code) => Some(code),
        Err(meant) => {
            let problem = value.mismatch(EXPECTED, EXAMPLE);
            problems.push(match (meant, iso::continent(text)) {
                (Some(meant), _) => problem.hint(format!("did you mean \"{meant}\"?")),
                (None, Ok(_)) => problem.hint(format!("write `continent = \"{text}\"`")),
                (None, Err(Some(meant))) => problem.hint(format!("write `continent = \"{meant}\"`")),
                (None, Err(None)) => problem,
            });
            None
        }
    }
}

fn read_continent(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<[u8; 2]> {
    let expected = format!("one of {}", iso::continents());
    let text = value.text(&expected, "such as \"EU\"", problems)?;
    match iso::continent(text) {
        Ok(code) => Some(code),
        Err(meant) => {
            let problem = value.mismatch(&expected, "such as \"EU\"");
            problems.push(match (meant, iso::country(text)) {
                (Some(meant), _) => problem.hint(format!("did you mean \"{meant}\"?")),
                (None, Ok(_)) => problem.hint(format!("write `country = \"{text}\"`")),
                (None, Err(_)) => problem,
            });
            None
        }
    }
}

/// At least one region, none twice.
fn read_to(
    value: &Value<'_>,
    definitions: &mut Definitions<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Option<Vec<Listed>> {
    let entries = value.list("a list of regions", TO_EXAMPLE, Selection::MOST_USABLE, problems)?;
    if entries.is_empty() {
        let problem = value.error(format!("{} is empty, expected at least one region", value.what()));
        problems.push(problem.hint(format!("write one {TO_EXAMPLE}")));
        return None;
    }
    let mut listed: Vec<Listed> = Vec::new();
    let mut complete = true;
    for entry in entries {
        let Some(region) = definitions.region(&entry, problems) else {
            complete = false;
            continue;
        };
        if let Some(first) = listed.iter().find(|listed| listed.region == region) {
            let problem = entry.error(format!("region `{region}` is written twice"));
            problems.push(problem.related(first.place.clone(), "first here").hint("remove one of the two"));
            complete = false;
            continue;
        }
        listed.push(Listed { region, place: entry.place() });
    }
    complete.then_some(listed)
}

fn read_prefixes(value: &Value<'_>, problems: &mut Vec<Diagnostic>) -> Option<Prefixes> {
    let mut table = value.table("`prefixes`", "a table: `{ ipv4 = 24, ipv6 = 56 }`", problems)?;
    let mut length = |key, most, problems: &mut Vec<Diagnostic>| {
        table.setting(key, problems, |value, problems| {
            value.integer(0..=most, problems).and_then(|length| u8::try_from(length).ok())
        })
    };
    let (ipv4, ipv6) = (length("ipv4", 32, problems), length("ipv6", Network::IPV6_BITS.into(), problems));
    table.close(problems);
    let usual = Prefixes::default();
    Some(Prefixes { ipv4: ipv4.or(usual.ipv4)?, ipv6: ipv6.or(usual.ipv6)? })
}

/// Somebody has to be drawn.
fn check_weights(what: &str, endpoints: &[EndpointDraft], problems: &mut Vec<Diagnostic>) {
    let weights: Option<Vec<u16>> = endpoints.iter().map(|endpoint| endpoint.weight.clone().or(1)).collect();
    if weights.is_some_and(|weights| !weights.is_empty() && weights.iter().all(|weight| *weight == 0))
        && let Some(place) = endpoints.iter().find_map(|endpoint| endpoint.weight.place())
    {
        let message = format!("every endpoint of {what} has weight 0, expected one with a weight");
        problems.push(Diagnostic::error(place, message).hint("write a `weight` of 1 or more"));
    }
}

/// What is answered together has to be of the same types.
fn check_addresses(endpoints: &[EndpointDraft], problems: &mut Vec<Diagnostic>) {
    for endpoint in endpoints {
        let Some(answer) = &endpoint.answer else { continue };
        if let (false, Some(place)) = (matches!(answer, Answer::Addresses(_)), &endpoint.answer_place) {
            let message = "policy \"all\" answers several endpoints together, which needs `addresses` in each of them";
            problems.push(Diagnostic::error(place.clone(), message).hint("write `addresses`, or policy \"weighted\""));
        }
    }
}

/// A distance needs two places.
fn check_locations(endpoints: &[EndpointDraft], definitions: &Definitions<'_>, problems: &mut Vec<Diagnostic>) {
    for endpoint in endpoints {
        let Some(region) = &endpoint.region else { continue };
        if let Some(place) = definitions.lacks_location(region) {
            let message = format!("region `{region}` has no `location`, by which policy \"nearest\" selects");
            let problem = Diagnostic::error(endpoint.region_place.clone(), message).related(place, "defined here");
            let hint = format!("add `location = [LATITUDE, LONGITUDE]` to `[regions.{region}]`");
            problems.push(problem.hint(hint));
        }
    }
}
