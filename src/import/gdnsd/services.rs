//! `service_types`: probes.

use std::collections::BTreeMap;

use super::super::draft::{Draft, Names, ProbeDraft, list, quoted, seconds};
use super::vscf::Value;

/// What stands in a command for the address or name that is monitored.
const ITEM: &str = "%%ITEM%%";

/// The service types of a configuration, and the probes that they have become.
pub(super) struct Services<'v> {
    types: BTreeMap<&'v str, &'v Value>,
    names: Names,
}

/// What a service type is here.
enum Service {
    /// Nothing to probe.
    None,
    Probe(ProbeDraft),
    /// A probe for each address or name that it is asked about.
    ProbeOfItem(ProbeDraft),
}

impl<'v> Services<'v> {
    pub(super) fn new(configuration: &'v Value) -> Self {
        let types = configuration.get("service_types").map(Value::hash).unwrap_or_default();
        Self { types: types.iter().map(|(name, value)| (name.as_str(), value)).collect(), names: Names::default() }
    }

    /// The probe for something with these service types, all of which have to be up; `item` is its address or name.
    pub(super) fn probe(&mut self, services: &[String], item: &str, draft: &mut Draft) -> Option<String> {
        let mut probes: Vec<String> = Vec::new();
        for service in services {
            if let Some(probe) = self.one(service, item, draft)
                && !probes.contains(&probe)
            {
                probes.push(probe);
            }
        }
        if let [_, _, ..] = probes.as_slice() {
            let parts: Vec<&str> = probes.iter().map(String::as_str).collect();
            let joined = parts.join("-and-");
            let name = self.names.name(&format!("composite {joined}"), &[&joined]);
            let kind = format!("composite = {{ all = {} }}", list(&probes));
            draft.add_probe(
                &name,
                &format!("service_types [{}]", services.join(", ")),
                ProbeDraft { kind, ..ProbeDraft::default() },
            );
            return Some(name);
        }
        probes.pop()
    }

    fn one(&mut self, service: &str, item: &str, draft: &mut Draft) -> Option<String> {
        let about = format!("service_types.{service}");
        let Some(value) = self.types.get(service) else {
            return match service {
                "down" => self.named("down", &["down"], &about, always_down(), draft),
                "up" => None,
                _ => {
                    draft.note(about, "it is not defined: its endpoints have no probe");
                    None
                }
            };
        };
        match read(value) {
            Ok(Service::None) => None,
            Ok(Service::Probe(probe)) => self.named(service, &[service], &about, probe, draft),
            Ok(Service::ProbeOfItem(mut probe)) => {
                probe.kind = probe.kind.replace(ITEM, item.trim_end_matches('.'));
                self.named(&format!("{service} of {item}"), &[service, item], &about, probe, draft)
            }
            Err(sentence) => {
                draft.note(about, sentence);
                None
            }
        }
    }

    fn named(
        &mut self,
        key: &str,
        parts: &[&str],
        about: &str,
        probe: ProbeDraft,
        draft: &mut Draft,
    ) -> Option<String> {
        let name = self.names.name(&format!("service {key}"), parts);
        if !draft.probes.contains_key(&name) {
            draft.add_probe(&name, about, probe);
        }
        Some(name)
    }
}

/// A probe that always fails.
fn always_down() -> ProbeDraft {
    let mut probe = ProbeDraft { kind: "exec = { command = [\"/bin/false\"] }".into(), ..ProbeDraft::default() };
    probe.keys.push(("fall", "1".into()));
    probe
        .remarks
        .push("always down, as in gdnsd; a mark says the same in better words: `concierge mark REGION down`".into());
    probe
}

/// `Err` is why there is no probe of the kind.
fn read(value: &Value) -> Result<Service, String> {
    let text = |key: &str| value.get(key).and_then(Value::text);
    let plugin = text("plugin").unwrap_or_default();
    let mut probe = ProbeDraft::default();
    let mut of_item = false;
    match plugin {
        "tcp_connect" => {
            let port = text("port").ok_or("`tcp_connect` without a `port`")?;
            probe.kind = format!("tcp = {{ port = {} }}", number(port)?);
        }
        "http_status" => {
            let mut keys = vec![format!("port = {}", number(text("port").unwrap_or("80"))?)];
            keys.push(format!("path = {}", quoted(text("url_path").unwrap_or("/"))));
            match text("vhost") {
                Some(host) => keys.push(format!("host = {}", quoted(host.trim_end_matches('.')))),
                None => probe.remarks.push("gdnsd sends no Host header; here it is what is probed".into()),
            }
            let codes = value.get("ok_codes").map(Value::texts).filter(|codes| !codes.is_empty());
            let codes: Vec<u64> = codes.unwrap_or(vec!["200"]).into_iter().map(number).collect::<Result<_, _>>()?;
            keys.push(match codes.as_slice() {
                [code] => format!("status = {code}"),
                codes => format!("status = {codes:?}"),
            });
            probe.kind = format!("http = {{ {} }}", keys.join(", "));
        }
        "extmon" => {
            let command = value.get("cmd").map(Value::texts).filter(|command| !command.is_empty());
            let command = command.ok_or("`extmon` without a `cmd`")?;
            of_item = command.iter().any(|word| word.contains(ITEM));
            probe.kind = format!("exec = {{ command = {} }}", list(&command));
        }
        "extfile" => {
            return Err("`extfile` reads states from a file that another program writes, which no probe does: its \
                        endpoints have no probe; let the other program report to a probe of kind `push`"
                .into());
        }
        "static" => {
            let down = text("state").is_some_and(|state| state.eq_ignore_ascii_case("down"));
            return Ok(if down { Service::Probe(always_down()) } else { Service::None });
        }
        "null" => return Ok(Service::Probe(always_down())),
        other => return Err(format!("plugin `{other}` is not one that comes with gdnsd: its endpoints have no probe")),
    }
    pace(value, plugin, &mut probe);
    Ok(if of_item { Service::ProbeOfItem(probe) } else { Service::Probe(probe) })
}

/// How often it is looked at, and how many looks decide.
fn pace(value: &Value, plugin: &str, probe: &mut ProbeDraft) {
    let number = |key: &str, default: u64| value.get(key).and_then(Value::number).unwrap_or(default);
    let interval = number("interval", 10).clamp(1, 255);
    let timeout = number("timeout", (interval / 2).max(1)).clamp(1, 60).min(interval);
    let direct = plugin == "extmon" && value.get("direct").is_some_and(Value::flag);
    let (fall, rise) = if direct { (1, 1) } else { (number("down_thresh", 10), number("up_thresh", 20)) };
    probe.keys.push(("interval", quoted(&seconds(interval))));
    probe.keys.push(("timeout", quoted(&seconds(timeout))));
    probe.keys.push(("confirm", quoted(&seconds(interval))));
    for (key, count) in [("fall", fall), ("rise", rise)] {
        probe.keys.push((key, count.clamp(1, 100).to_string()));
        if count > 100 {
            probe.remarks.push(format!("`{key}` is at most 100, and was {count}"));
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}
