//! What passes, as others are shown it (`docs/observability.md`): the query log, dnstap with the receivers and readers of other
//! people, and the dashboard beside the metrics that there are.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hickory_proto::rr::RecordType;
use serde_json::Value;

use crate::process::{Daemon, Site, ask, ask_tcp, eventually, program, text, try_ask};

const PATIENCE: Duration = Duration::from_secs(30);

/// The lines of a query log.
fn lines(path: &Path) -> Vec<Value> {
    let log = std::fs::read_to_string(path).unwrap_or_default();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Waits for what has to come.
fn awaited<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    let came = eventually(PATIENCE, || {
        found = look();
        found.is_some()
    });
    found.filter(|_| came).unwrap_or_else(|| panic!("{what} did not come"))
}

fn shown(site: &Site, sink: &str, result: &str) -> f64 {
    site.metric(&format!("shown_messages_total{{sink=\"{sink}\",result=\"{result}\"}}"))
}

#[test]
fn the_query_log_says_who_asked_what_and_was_told_what_and_follows_its_file() {
    let site = Site::with("[query_log]\nfile = \"../queries.json\"\nsample = 1");
    let _daemon = Daemon::start(&site);
    let (dns, log) = (site.net.dns(), site.path("queries.json"));
    ask(dns, "hub.example.net.", RecordType::A);
    ask_tcp(dns, "nothing.example.net.", RecordType::TXT);
    ask(dns, "www.example.org.", RecordType::A);
    let told = awaited("three lines", || {
        // The daemon's own probers ask, too.
        let lines = lines(&log);
        let of = |name: &str| lines.iter().find(|line| line["name"] == name && line["client"] == "127.0.0.1").cloned();
        Some([of("hub.example.net.")?, of("nothing.example.net.")?, of("www.example.org.")?])
    });
    let [hub, nothing, elsewhere] = &told;
    let known = |line: &Value| {
        let [rcode, transport, kind] = ["rcode", "transport", "type"].map(|key| line[key].as_str().unwrap().to_owned());
        (rcode, transport, kind)
    };
    let words = |rcode: &str, transport: &str, kind: &str| (rcode.into(), transport.into(), kind.into());
    assert_eq!(known(hub), words("NOERROR", "udp", "A"));
    assert_eq!(hub["hub"], "hub.example.net.", "{hub}");
    assert_eq!((&hub["region"], &hub["epoch"]), (&"westeurope".into(), &1.into()), "{hub}");
    assert!(hub["port"].is_u64() && hub["time"].as_str().unwrap().ends_with('Z'), "{hub}");
    assert_eq!(known(nothing), words("NXDOMAIN", "tcp", "TXT"));
    assert_eq!((nothing.get("hub"), &nothing["answers"]), (None, &0.into()), "{nothing}");
    assert_eq!(known(elsewhere), words("REFUSED", "udp", "A"));

    // As those do that rotate logs.
    std::fs::rename(&log, site.path("queries.1")).unwrap();
    awaited("a new file", || log.exists().then_some(()));
    ask(dns, "example.net.", RecordType::SOA);
    awaited("a line in the new file", || lines(&log).iter().any(|line| line["type"] == "SOA").then_some(()));
    assert_eq!(shown(&site, "query_log", "dropped"), 0.0);
}

#[test]
fn a_log_that_cannot_be_written_refuses_the_start_and_names_the_file() {
    let site = Site::with("[query_log]\nfile = \"../missing/queries.json\"");
    let ran = site.run(&["serve"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.err.contains("missing/queries.json"), "{}", ran.err);
}

/// A receiver of other people, ended with this.
struct Receiver(Child);

impl Receiver {
    fn start(site: &Site) -> Self {
        let mut command = program("fstrm_capture", "fstrm-bin");
        command
            .args(["-t", "protobuf:dnstap.Dnstap", "-u"])
            .arg(site.path("tap.sock"))
            .arg("-w")
            .arg(site.path("received"));
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Ends it as its user would, so that it writes what it has.
    fn stop(mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        assert!(eventually(PATIENCE, || self.0.try_wait().unwrap().is_some()));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The messages of a dnstap file, as other people read them: for each its type and text.
fn read(path: &Path) -> String {
    let output = program("dnstap-ldns", "dnstap-ldns").arg("-r").arg(path).arg("-y").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_dnstap_file_is_read_by_others_and_one_that_was_there_is_kept() {
    let site = Site::with("[dnstap]\nfile = \"../messages.tap\"\nidentity = \"ns1.example.net\"");
    site.write("messages.tap", "what was there");
    let mut daemon = Daemon::start(&site);
    ask(site.net.dns(), "hub.example.net.", RecordType::A);
    ask_tcp(site.net.dns(), "hub.example.net.", RecordType::AAAA);
    assert!(eventually(PATIENCE, || shown(&site, "dnstap_file", "written") >= 2.0));
    daemon.signal("TERM");
    assert!(eventually(PATIENCE, || daemon.child.try_wait().unwrap().is_some()));
    let messages = read(&site.path("messages.tap"));
    for expected in [
        "identity: \"ns1.example.net\"",
        "version: \"concierge ",
        "type: AUTH_QUERY",
        "type: AUTH_RESPONSE",
        "socket_family: INET",
        "socket_protocol: UDP",
        "socket_protocol: TCP",
        "query_address: \"127.0.0.1\"",
        "query_port: ",
        "hub.example.net.",
    ] {
        assert!(messages.contains(expected), "{expected}: {messages}");
    }
    // Knot's client reads it, too.
    let output = program("kdig", "knot-dnsutils").arg("-G").arg(site.path("messages.tap")).output().unwrap();
    assert!(output.status.success() && text(&output.stdout).contains("hub.example.net."), "{output:?}");
    let aside = std::fs::read_dir(site.path("")).unwrap().filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.starts_with("messages.tap.").then_some(name)
    });
    let [aside] = aside.collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(std::fs::read_to_string(site.path(&aside)).unwrap(), "what was there");
}

#[test]
fn a_receiver_may_come_late_and_go_and_answers_do_not_wait() {
    let site = Site::with("[dnstap]\nsocket = \"../tap.sock\"");
    let _daemon = Daemon::start(&site);
    let dns = site.net.dns();
    assert!(try_ask(dns, "hub.example.net.", RecordType::A, PATIENCE).is_some());
    assert!(eventually(PATIENCE, || shown(&site, "dnstap", "dropped") > 0.0), "nobody is there");
    for _ in 0..2 {
        let before = shown(&site, "dnstap", "written");
        let receiver = Receiver::start(&site);
        let asked = || {
            ask(dns, "hub.example.net.", RecordType::A);
            shown(&site, "dnstap", "written") > before
        };
        assert!(eventually(PATIENCE, asked), "it is found again");
        receiver.stop();
        // The other side may still say that it was read.
        assert!(read(&site.path("received")).contains("type: AUTH_RESPONSE"));
        let _ = std::fs::remove_file(site.path("tap.sock"));
    }
    assert!(try_ask(dns, "hub.example.net.", RecordType::A, PATIENCE).is_some());
}

/// Of some metrics there is nothing to show without a gate or a certificate, so that they are looked for where they are made.
#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let made = include_str!("../../src/admin/metrics.rs");
    let dashboard: Value = serde_json::from_str(include_str!("../../packaging/grafana/concierge.json")).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            names.extend(words.filter_map(|word| word.strip_prefix("concierge_")).map(str::to_owned));
        }
    }
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        // A counter is made without its suffix, and a histogram without those of its series.
        let bare = ["_bucket", "_count", "_total"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(&name);
        assert!([bare, &name].iter().any(|name| made.contains(&format!("\"{name}\""))), "there is no {name}");
    }
}
