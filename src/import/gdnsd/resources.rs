//! `plugins`: what a `DYNA` or `DYNC` record refers to.

use std::net::IpAddr;

use super::vscf::Value;

/// How deep meta resources may refer to one another.
const DEEPEST: usize = 8;

/// What a plugin answers for a resource.
#[derive(Clone, Debug)]
pub(super) enum Resource {
    /// A name, or addresses, that never change.
    Fixed(Vec<String>),
    /// Some of several things.
    Group(Group),
    /// The first of several resources that is not down.
    Meta(Meta),
}

/// `simplefo`, `multifo` or `weighted`.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) kind: GroupKind,
    pub(super) members: Vec<Member>,
    pub(super) remarks: Vec<String>,
}

/// How a group is answered from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum GroupKind {
    /// The first that is up.
    Simple,
    /// All that are up.
    Multi,
    /// One, drawn.
    Weighted,
}

/// One of a group.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) label: String,
    /// Addresses, or one name.
    pub(super) answers: Vec<String>,
    pub(super) services: Vec<String>,
    pub(super) weight: u64,
}

/// `metafo` or `geoip`.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub(super) datacenters: Vec<(String, Resource)>,
    /// The map of `geoip`.
    pub(super) map: Option<String>,
    pub(super) skip_first: bool,
}

/// The keys that a resource takes from what is around it.
#[derive(Clone, Copy)]
struct Scope<'v> {
    levels: &'v [&'v Value],
}

impl<'v> Scope<'v> {
    fn get(&self, key: &str) -> Option<&'v Value> {
        self.levels.iter().rev().find_map(|level| level.get(key))
    }

    fn services(&self) -> Vec<String> {
        let services = self.get("service_types").map(Value::texts);
        let monitored = services.unwrap_or_default().into_iter().filter(|service| *service != "up");
        monitored.map(String::from).collect()
    }
}

/// Finds what a record refers to. `Err` is why it is nothing that can be carried over.
pub(super) fn find(plugins: &Value, plugin: &str, resource: Option<&str>) -> Result<Resource, String> {
    find_nested(plugins, plugin, resource, 0)
}

fn find_nested(plugins: &Value, plugin: &str, resource: Option<&str>, depth: usize) -> Result<Resource, String> {
    if depth == DEEPEST {
        return Err(format!("`{plugin}` leads back to itself, or through more than {DEEPEST} others"));
    }
    match plugin {
        "reflect" => return Err("`reflect` answers who asks with its own address, which no policy does".into()),
        "null" => return Err("`null` answers with no address of use".into()),
        _ => {}
    }
    let stanza = plugins.get(plugin).ok_or(format!("`plugins` has no `{plugin}`"))?;
    let resource = resource.ok_or(format!("`{plugin}` without a resource"))?;
    let meta = matches!(plugin, "metafo" | "geoip");
    if meta {
        // A datacenter of a resource is a resource of its own.
        let (name, datacenter) = match resource.split_once('/') {
            Some((name, datacenter)) => (name, Some(datacenter)),
            None => (resource, None),
        };
        let resources = stanza.get("resources").ok_or(format!("`{plugin}` has no `resources`"))?;
        let value = resources.get(name).ok_or(format!("`{plugin}` has no resource `{name}`"))?;
        let mut meta = read_meta(plugins, plugin, stanza, value, depth)?;
        let Some(datacenter) = datacenter else { return Ok(Resource::Meta(meta)) };
        let at = meta.datacenters.iter().position(|(name, _)| name == datacenter);
        return at
            .map(|at| meta.datacenters.swap_remove(at).1)
            .ok_or(format!("`{name}` has no datacenter `{datacenter}`"));
    }
    let value = stanza.get(resource).ok_or(format!("`{plugin}` has no resource `{resource}`"))?;
    read_plain(plugin, &[stanza], value)
}

/// A resource of a plugin that is not a meta-plugin; `outer` are the levels that it takes keys from.
fn read_plain(plugin: &str, outer: &[&Value], value: &Value) -> Result<Resource, String> {
    let levels = [outer, &[value]].concat();
    let scope = Scope { levels: &levels };
    let group = match plugin {
        "static" => return Ok(Resource::Fixed(value.texts().into_iter().map(String::from).collect())),
        "simplefo" => read_simple(scope, value)?,
        "multifo" => read_multi(scope, value)?,
        "weighted" => read_weighted(scope, value)?,
        other => return Err(format!("plugin `{other}` is not one that comes with gdnsd")),
    };
    if group.members.is_empty() {
        return Err("it has no address and no name".into());
    }
    Ok(Resource::Group(group))
}

/// The stanzas of a resource: its own, or those of the address families.
fn families(value: &Value) -> Vec<&Value> {
    let families: Vec<&Value> = ["addrs_v4", "addrs_v6"].iter().filter_map(|key| value.get(key)).collect();
    if families.is_empty() { vec![value] } else { families }
}

fn read_simple(scope: Scope<'_>, value: &Value) -> Result<Group, String> {
    let mut group = Group { kind: GroupKind::Simple, members: Vec::new(), remarks: Vec::new() };
    let stanzas = families(value);
    for label in ["primary", "secondary"] {
        let mut member = Member { label: label.into(), answers: Vec::new(), services: Vec::new(), weight: 1 };
        for stanza in &stanzas {
            let levels = [scope.levels, &[stanza]].concat();
            let address = stanza.get(label).and_then(Value::text).ok_or(format!("`simplefo` without a {label}"))?;
            member.answers.push(address.into());
            for service in (Scope { levels: &levels }).services() {
                if !member.services.contains(&service) {
                    member.services.push(service);
                }
            }
        }
        group.members.push(member);
    }
    if stanzas.len() > 1 {
        group.remarks.push("the addresses of both families move together; gdnsd decides for each family".into());
    }
    Ok(group)
}

fn read_multi(scope: Scope<'_>, value: &Value) -> Result<Group, String> {
    const SETTINGS: [&str; 5] = ["service_types", "up_thresh", "ignore_health", "plugin", "multi"];
    let mut group = Group { kind: GroupKind::Multi, members: Vec::new(), remarks: Vec::new() };
    let mut ignored = false;
    for stanza in families(value) {
        let levels = [scope.levels, &[stanza]].concat();
        let scope = Scope { levels: &levels };
        let ignore = scope.get("ignore_health").is_some_and(Value::flag);
        ignored |= ignore;
        let services = if ignore { Vec::new() } else { scope.services() };
        let numbered = stanza.texts().into_iter().enumerate().map(|(at, address)| ((at + 1).to_string(), address));
        let named = stanza.hash().iter().filter(|(key, _)| !SETTINGS.contains(&key.as_str()));
        let named = named.filter_map(|(key, value)| Some((key.clone(), value.text()?)));
        for (label, address) in numbered.chain(named) {
            let answers = vec![address.to_owned()];
            let taken = group.members.iter().any(|member| member.label == label);
            let label = if taken { format!("{label}-v6") } else { label };
            group.members.push(Member { label, answers, services: services.clone(), weight: 1 });
        }
    }
    if ignored {
        group
            .remarks
            .push("`ignore_health`: the addresses have no probe, so that nothing outside fails over on them".into());
    }
    threshold(&mut group, scope);
    Ok(group)
}

fn read_weighted(scope: Scope<'_>, value: &Value) -> Result<Group, String> {
    const SETTINGS: [&str; 4] = ["service_types", "up_thresh", "multi", "plugin"];
    let mut group = Group { kind: GroupKind::Weighted, members: Vec::new(), remarks: Vec::new() };
    let (mut multi, mut grouped) = (false, false);
    for (family, stanza) in families(value).into_iter().enumerate() {
        let levels = [scope.levels, &[stanza]].concat();
        let scope = Scope { levels: &levels };
        multi |= scope.get("multi").is_some_and(Value::flag);
        let services = scope.services();
        let entries = stanza.hash().iter().filter(|(key, _)| !SETTINGS.contains(&key.as_str()));
        for (at, (label, entry)) in entries.enumerate() {
            let parts = match entry {
                Value::Hash(parts) => {
                    grouped = true;
                    parts.iter().map(|(_, part)| weighed(part)).collect::<Option<Vec<_>>>()
                }
                entry => weighed(entry).map(|part| vec![part]),
            };
            let parts = parts.ok_or(format!("`{label}` is not an address or name with its weight"))?;
            let weight = parts.iter().map(|(_, weight)| weight).sum();
            let answers: Vec<String> = parts.into_iter().map(|(answer, _)| answer).collect();
            // The other family of what has the same label, or else stands at the same place.
            let same = group.members.iter().position(|member| member.label == *label);
            let twin = (family > 0).then(|| same.unwrap_or(at)).and_then(|at| group.members.get_mut(at));
            match twin {
                Some(member) => member.answers.extend(answers),
                None => {
                    group.members.push(Member { label: label.clone(), answers, services: services.clone(), weight })
                }
            }
        }
        if family > 0 {
            group
                .remarks
                .push("the families are drawn together, by the weights of IPv4; gdnsd draws for each family".into());
        }
    }
    if grouped {
        let sentence = match multi {
            true => {
                "`multi` over groups: one group is drawn and all of it is answered; gdnsd answers one address of several groups"
            }
            false => {
                "one group is drawn, and all of its addresses are answered together; gdnsd leaves some out by their weights"
            }
        };
        group.remarks.push(sentence.into());
    } else if multi {
        group.kind = GroupKind::Multi;
        if group.members.windows(2).any(|pair| pair[0].weight != pair[1].weight) {
            group
                .remarks
                .push("`multi` with different weights: all that are up are answered, the weights are lost".into());
        }
    }
    threshold(&mut group, scope);
    Ok(group)
}

/// `[ ADDRESS, WEIGHT ]`.
fn weighed(value: &Value) -> Option<(String, u64)> {
    match value.texts().as_slice() {
        [answer, weight] => Some(((*answer).into(), weight.parse().ok()?)),
        _ => None,
    }
}

/// Says that `up_thresh` goes, where it could have made a difference.
fn threshold(group: &mut Group, scope: Scope<'_>) {
    let watched = group.members.len() > 1 && group.members.iter().any(|member| !member.services.is_empty());
    if watched {
        let share = scope.get("up_thresh").and_then(Value::text).unwrap_or("0.5");
        group.remarks.push(format!(
            "`up_thresh` {share} is not carried over: what is up is answered, down to the last one; all are answered only when all are down"
        ));
    }
}

fn read_meta(plugins: &Value, plugin: &str, stanza: &Value, value: &Value, depth: usize) -> Result<Meta, String> {
    let outer = [stanza, value];
    let scope = Scope { levels: &outer };
    let map = (plugin == "geoip").then(|| value.get("map").and_then(Value::text)).flatten();
    let dcmap = value.get("dcmap").ok_or("it has no `dcmap`")?;
    let order: Vec<&str> = match (plugin, map) {
        ("geoip", Some(map)) => {
            let map = stanza.get("maps").and_then(|maps| maps.get(map)).ok_or(format!("there is no map `{map}`"))?;
            map.get("datacenters").map(Value::texts).unwrap_or_default()
        }
        ("geoip", None) => return Err("it has no `map`".into()),
        _ => value.get("datacenters").map(Value::texts).unwrap_or_default(),
    };
    let mut datacenters = Vec::new();
    for name in order {
        let Some(entry) = dcmap.get(name) else { continue };
        let resource =
            read_datacenter(plugins, scope, entry, depth).map_err(|error| format!("datacenter `{name}`: {error}"))?;
        datacenters.push((name.to_owned(), resource));
    }
    if datacenters.is_empty() {
        return Err("it has no datacenter".into());
    }
    let skip_first = scope.get("skip_first").is_some_and(Value::flag);
    Ok(Meta { datacenters, map: map.map(String::from), skip_first })
}

fn read_datacenter(plugins: &Value, scope: Scope<'_>, entry: &Value, depth: usize) -> Result<Resource, String> {
    let default = scope.get("plugin").and_then(Value::text).unwrap_or("multifo");
    if let Some(text) = entry.text() {
        if let Some(reference) = text.strip_prefix('%').or(text.starts_with('!').then_some(text)) {
            let (plugin, resource) = reference.split_once('!').ok_or(format!("`{text}` refers to no resource"))?;
            let plugin = if plugin.is_empty() { default } else { plugin };
            return find_nested(plugins, plugin, Some(resource), depth + 1);
        }
        if text.parse::<IpAddr>().is_err() {
            return Ok(Resource::Fixed(vec![text.into()]));
        }
        return read_plain("multifo", scope.levels, &Value::List(vec![Value::Text(text.into())]));
    }
    let plugin = match entry {
        Value::Hash(_) => entry.get("plugin").and_then(Value::text).unwrap_or(default),
        Value::Text(_) | Value::List(_) => "multifo",
    };
    if plugin == "metafo" {
        let levels: Vec<&Value> = [scope.levels, &[entry]].concat();
        let dcmap = entry.get("dcmap").ok_or("it has no `dcmap`")?;
        let mut datacenters = Vec::new();
        for name in entry.get("datacenters").map(Value::texts).unwrap_or_default() {
            let Some(inner) = dcmap.get(name) else { continue };
            // `plugin` of this level is what made it a metafo.
            let resource = read_datacenter(plugins, Scope { levels: &levels[..levels.len() - 1] }, inner, depth + 1)?;
            datacenters.push((name.to_owned(), resource));
        }
        return Ok(Resource::Meta(Meta { datacenters, map: None, skip_first: false }));
    }
    read_plain(plugin, scope.levels, entry)
}
