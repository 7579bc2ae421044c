//! Health checks: probes, and what they dial.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::draft::{Draft, Names, ProbeDraft, list, quoted, seconds};

/// The health checks of an account.
pub(super) struct HealthChecks<'v> {
    checks: BTreeMap<&'v str, &'v Value>,
    used: BTreeSet<String>,
    names: Names,
}

/// What an endpoint has of a health check.
#[derive(Clone, Default)]
pub(super) struct Check {
    pub(super) probe: Option<String>,
    /// As it is written in a policy.
    pub(super) target: Option<String>,
}

impl<'v> HealthChecks<'v> {
    pub(super) fn new(checks: &'v [Value]) -> Self {
        let checks = checks.iter().filter_map(|check| Some((check["Id"].as_str()?, check)));
        Self { checks: checks.collect(), used: BTreeSet::new(), names: Names::default() }
    }

    /// The probe of the check `id`.
    pub(super) fn check(&mut self, id: &str, draft: &mut Draft) -> Check {
        let about = format!("health check {id}");
        self.used.insert(id.into());
        let Some(check) = self.checks.get(id).copied() else {
            draft.note(about, "it is in no list of health checks that was given: its endpoints have no probe");
            return Check::default();
        };
        let config = &check["HealthCheckConfig"];
        if config["Disabled"].as_bool() == Some(true) {
            draft.note(about, "it is disabled, which counts as healthy: its endpoints have no probe");
            return Check::default();
        }
        if config["Inverted"].as_bool() == Some(true) {
            draft.note(about, "it is inverted, which no probe is: its endpoints have no probe");
            return Check::default();
        }
        if config["Type"] == "CALCULATED" {
            return self.calculated(id, config, draft);
        }
        match read(config) {
            Ok(probe) => {
                let name = self.name(id);
                if !draft.probes.contains_key(&name) {
                    draft.add_probe(&name, &about, probe);
                }
                let host = || {
                    config["FullyQualifiedDomainName"].as_str().map(|host| format!("{}.", host.trim_end_matches('.')))
                };
                let dialled = config["IPAddress"].as_str().map(String::from).or_else(host);
                Check { probe: Some(name), target: dialled.map(|dialled| quoted(&dialled)) }
            }
            Err(why) => {
                draft.note(about, why);
                Check::default()
            }
        }
    }

    /// So many of other checks, all of which look at one target, for that is what a composite probe has.
    fn calculated(&mut self, id: &str, config: &Value, draft: &mut Draft) -> Check {
        let about = format!("health check {id}");
        let children: Vec<&str> =
            config["ChildHealthChecks"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let inside: Vec<Check> = children.iter().map(|child| self.check(child, draft)).collect();
        let probes: Vec<String> = inside.iter().filter_map(|check| check.probe.clone()).collect();
        let targets: BTreeSet<&String> = inside.iter().filter_map(|check| check.target.as_ref()).collect();
        let needed = config["HealthThreshold"].as_u64().unwrap_or(probes.len() as u64);
        if probes.len() < children.len() {
            draft.note(about, "one of its checks has no probe, so that it has none");
            return Check::default();
        }
        if targets.len() > 1 {
            draft.note(
                about,
                "its checks look at different hosts, and a composite probe looks at one: its endpoints have no probe",
            );
            return Check::default();
        }
        if needed == 0 || probes.is_empty() {
            draft.note(about, "it needs no healthy check, and so is always healthy: its endpoints have no probe");
            return Check::default();
        }
        let target = targets.first().map(|target| (*target).clone());
        if let ([_], 1) = (probes.as_slice(), needed) {
            return Check { probe: probes.into_iter().next(), target };
        }
        let all = list(&probes);
        let kind = match needed {
            1 => format!("composite = {{ any = {all} }}"),
            needed if needed >= probes.len() as u64 => format!("composite = {{ all = {all} }}"),
            needed => format!("composite = {{ at_least = {needed}, of = {all} }}"),
        };
        let name = self.name(id);
        draft.add_probe(&name, &about, ProbeDraft { kind, ..ProbeDraft::default() });
        Check { probe: Some(name), target }
    }

    /// The name that the check has in its tags, if it is there, else what it looks at.
    fn name(&mut self, id: &str) -> String {
        let check = self.checks.get(id).copied().unwrap_or(&Value::Null);
        let config = &check["HealthCheckConfig"];
        let text = |key: &str| config[key].as_str().unwrap_or_default();
        let kind = text("Type").to_ascii_lowercase().replace("_str_match", "");
        let host = if text("FullyQualifiedDomainName").is_empty() {
            text("IPAddress")
        } else {
            text("FullyQualifiedDomainName")
        };
        let start = id.split('-').next().unwrap_or(id);
        let parts = if host.is_empty() { vec![kind.as_str(), start] } else { vec![kind.as_str(), host] };
        self.names.name(id, &parts)
    }

    /// Checks that no record set has.
    pub(super) fn report_unused(&self, draft: &mut Draft) {
        for id in self.checks.keys().filter(|id| !self.used.contains(**id)) {
            draft.note(format!("health check {id}"), "no record set has it, so that there is no probe for it");
        }
    }
}

/// `Err` is why there is no probe of the kind.
fn read(config: &Value) -> Result<ProbeDraft, String> {
    let mut probe = ProbeDraft::default();
    let kind = config["Type"].as_str().unwrap_or_default();
    let secure = kind.starts_with("HTTPS");
    let port = config["Port"].as_u64().unwrap_or(if secure { 443 } else { 80 });
    match kind {
        "TCP" => probe.kind = format!("tcp = {{ port = {port} }}"),
        "HTTP" | "HTTPS" | "HTTP_STR_MATCH" | "HTTPS_STR_MATCH" => {
            let mut keys = vec![format!("port = {port}")];
            let path = config["ResourcePath"].as_str().filter(|path| !path.is_empty()).unwrap_or("/");
            let slash = if path.starts_with('/') { "" } else { "/" };
            keys.push(format!("path = {}", quoted(&format!("{slash}{path}"))));
            if let Some(host) = config["FullyQualifiedDomainName"].as_str() {
                keys.push(format!("host = {}", quoted(host.trim_end_matches('.'))));
            }
            keys.push("status = \"200-399\"".into());
            if let Some(text) = config["SearchString"].as_str() {
                keys.push(format!("body = {}", quoted(text)));
            }
            let word = if secure { "https" } else { "http" };
            probe.kind = format!("{word} = {{ {} }}", keys.join(", "));
            if secure {
                probe.remarks.push("the certificate is verified here, and is not by Route 53".into());
            }
        }
        "CLOUDWATCH_METRIC" => {
            return Err("it follows a CloudWatch alarm, which no probe does: its endpoints have no probe; let the alarm report \
                        to a probe of kind `push`"
                .into());
        }
        "RECOVERY_CONTROL" => {
            return Err(
                "it is a routing control, which is an operator's word: its endpoints have no probe; say it with \
                        `concierge mark`"
                    .into(),
            );
        }
        other => return Err(format!("its kind `{other}` has no equivalent: its endpoints have no probe")),
    }
    let interval = config["RequestInterval"].as_u64().unwrap_or(30).clamp(1, 3_600);
    let timeout = if kind == "TCP" { 10 } else { 6 };
    let threshold = config["FailureThreshold"].as_u64().unwrap_or(3).clamp(1, 100);
    probe.keys.push(("interval", quoted(&seconds(interval))));
    probe.keys.push(("timeout", quoted(&seconds(timeout.min(interval)))));
    probe.keys.push(("confirm", quoted(&seconds(interval))));
    probe.keys.push(("fall", threshold.to_string()));
    probe.keys.push(("rise", threshold.to_string()));
    Ok(probe)
}
