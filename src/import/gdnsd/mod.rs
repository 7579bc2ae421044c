//! gdnsd: its configuration and its zone files.
//!
//! | there | here | read by |
//! | --- | --- | --- |
//! | `service_types` | probes | `services` |
//! | `plugins`: simplefo, multifo, weighted, metafo, geoip, static | hubs, regions, `[geo]` | `resources`, `maps`, `hubs` |
//! | `DYNA` and `DYNC` records | hubs' owner names and TTLs | `zone` |
//! | other records | a master file | `zone` |

mod hubs;
mod maps;
mod resources;
mod services;
mod vscf;
mod zone;

use super::note::Refusal;
use super::{Import, Input, Output};
use hubs::{Hubs, Ttl};
use resources::Resource;
use services::Services;
use vscf::{Include, Value};
use zone::{Dynamic, Place, Zone};

/// What holds for everything that comes from gdnsd.
const DIFFERENCES: &[&str] = &[
    "A failed observation that is followed by a good one is forgotten: gdnsd counts failures until `ok_thresh` good ones \
     in a row.",
    "A hub that switches back and forth is held: `dwell` and `flap_limit` have no equivalent in gdnsd and keep their defaults.",
    "`confirm` is the interval, as in gdnsd; a shorter one finds a failure sooner.",
];

/// Makes a policy and master files of gdnsd's configuration and zone files.
///
/// A file is the configuration if it reads as one with any of gdnsd's three keys, else a zone, whose name is that of the
/// file. `include` reads what a file includes.
pub fn gdnsd(inputs: &[Input], include: &mut Include<'_>) -> Result<Import, Refusal> {
    let mut configuration = Vec::new();
    let mut zones = Vec::new();
    for input in inputs {
        let file = file_name(input);
        let is_zone = file.contains('.') && !file.ends_with(".cfg") && !file.ends_with(".conf");
        match vscf::parse(input, include) {
            Ok(Value::Hash(entries)) if entries.iter().any(|(key, _)| KEYS.contains(&key.as_str())) => {
                configuration.extend(entries);
            }
            Err(refusal) if !is_zone => return Err(refusal),
            Ok(_) if !is_zone => {
                return Err(Refusal::of(
                    &input.name,
                    format!("neither a configuration, which has one of {}, nor named as a zone", KEYS.join(", ")),
                ));
            }
            Ok(_) | Err(_) => {
                let apex = format!("{}.", file.trim_end_matches('.').to_ascii_lowercase());
                zones.push(Zone::read(&apex, input, include));
            }
        }
    }
    let configuration = Value::Hash(configuration);
    let nothing = Value::Hash(Vec::new());
    let plugins = configuration.get("plugins").unwrap_or(&nothing);
    let option = |key: &str| configuration.get("options").and_then(|options| options.get(key)).and_then(Value::number);
    let default_ttl = option("zones_default_ttl").unwrap_or(86_400);
    let mut hubs = Hubs::new(plugins, Services::new(&configuration));
    hubs.draft.head.extend(DIFFERENCES.iter().map(ToString::to_string));
    if configuration.get("options").is_some() {
        hubs.draft.note(
            "options",
            "listeners, threads and limits are not carried over: they stand in the configuration, concierge.toml",
        );
    }
    let mut outputs = Vec::new();
    for zone in &zones {
        for (file, why) in &zone.unread {
            hubs.draft.note(
                &zone.apex,
                format!("$INCLUDE {file} is kept as it is, and not looked into for DYNA and DYNC: {why}"),
            );
        }
        let places =
            zone.dynamic().map(|dynamic| place(dynamic, &zone.apex, plugins, default_ttl, &mut hubs)).collect();
        outputs.push(Output { name: format!("{}zone", zone.apex), text: zone.write(places, default_ttl) });
    }
    report_unused(plugins, &zones, &mut hubs);
    let policy = Output {
        name: "gdnsd.toml".into(),
        text: hubs.draft.write("Made from the configuration of gdnsd by `concierge import gdnsd`."),
    };
    Ok(Import { policy, zones: outputs, notes: hubs.draft.notes })
}

/// The keys of the configuration.
const KEYS: [&str; 3] = ["options", "service_types", "plugins"];

/// The last part of the path.
fn file_name(input: &Input) -> &str {
    input.name.rsplit('/').next().unwrap_or(&input.name)
}

/// What becomes of a dynamic record.
fn place(dynamic: &Dynamic, apex: &str, plugins: &Value, default_ttl: u64, hubs: &mut Hubs<'_>) -> Place {
    let Dynamic { owner, plugin, resource, .. } = dynamic;
    let written = format!("{plugin}{}", resource.as_ref().map(|name| format!("!{name}")).unwrap_or_default());
    let found = match resources::find(plugins, plugin, resource.as_deref()) {
        Ok(found) => found,
        Err(why) => {
            hubs.draft.note(owner, format!("{written} is not carried over: {why}"));
            return Place::Policy(format!("{written} is not carried over: {why}"));
        }
    };
    if let (Resource::Fixed(answers), false) = (&found, plugin == "metafo" || plugin == "geoip") {
        return Place::Records(answers.iter().map(|answer| record(answer)).collect());
    }
    let most = dynamic.ttl.unwrap_or(default_ttl);
    let ttl = Ttl { most, least: dynamic.least.unwrap_or(most / 2) };
    let name = resource.as_deref().unwrap_or(plugin);
    if let Some(parent) = owner.strip_prefix("*.") {
        // A hub is one name: the wildcard leads to it.
        let inside = format!("_{}.{apex}", super::draft::slug(&[name]));
        hubs.add(&inside, apex, name, ttl, &found);
        hubs.draft.note(owner, format!("a hub is no wildcard: what is below {parent} is a CNAME to the hub {inside}"));
        return Place::Records(vec![("CNAME", inside)]);
    }
    hubs.add(owner, apex, name, ttl, &found);
    Place::Policy(format!("{written} is in the policy"))
}

/// The record of a fixed answer.
fn record(answer: &str) -> (&'static str, String) {
    match answer.parse() {
        Ok(std::net::IpAddr::V4(address)) => ("A", address.to_string()),
        Ok(std::net::IpAddr::V6(address)) => ("AAAA", address.to_string()),
        Err(_) => ("CNAME", format!("{}.", answer.trim_end_matches('.'))),
    }
}

/// Resources that no record refers to, by themselves or through another one.
fn report_unused(plugins: &Value, zones: &[Zone], hubs: &mut Hubs<'_>) {
    const RESOLVING: [&str; 5] = ["simplefo", "multifo", "weighted", "metafo", "geoip"];
    const SETTINGS: [&str; 5] = ["service_types", "up_thresh", "ignore_health", "multi", "plugin"];
    let records: Vec<&Dynamic> = zones.iter().flat_map(Zone::dynamic).collect();
    for (plugin, stanza) in plugins.hash().iter().filter(|(plugin, _)| RESOLVING.contains(&plugin.as_str())) {
        let resources = match stanza.get("resources") {
            Some(resources) if matches!(plugin.as_str(), "metafo" | "geoip") => resources,
            _ => stanza,
        };
        for (name, _) in resources.hash().iter().filter(|(name, _)| !SETTINGS.contains(&name.as_str())) {
            let named = |dynamic: &&Dynamic| {
                let resource = dynamic.resource.as_deref().unwrap_or_default();
                dynamic.plugin == *plugin && resource.split('/').next() == Some(name)
            };
            if !records.iter().any(named) && !refers(plugins, plugin, name) {
                hubs.draft.note(
                    format!("plugins.{plugin}.{name}"),
                    "no DYNA or DYNC record of the zones that were given refers to it, so that there is no hub for it",
                );
            }
        }
    }
}

/// Whether something in `value` refers to the resource.
fn refers(value: &Value, plugin: &str, name: &str) -> bool {
    match value {
        Value::Text(text) => *text == format!("%{plugin}!{name}") || *text == format!("!{name}"),
        Value::List(list) => list.iter().any(|value| refers(value, plugin, name)),
        Value::Hash(entries) => entries.iter().any(|(_, value)| refers(value, plugin, name)),
    }
}
