//! Reloads: all or nothing, under load, and without a trace in what they are not about.

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpStream;
use std::process::Output;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use serde_json::Value;

use crate::load::{self, Load, Running};
use crate::process::{
    BROKER, Daemon, QUICK, Region, Site, active, addresses, ask, eventually, framed, health, policy, query,
    read_message, request, text,
};

const HUB: &str = "hub.example.net.";
const API: &str = "api.example.net.";
const SOON: Duration = Duration::from_secs(15);

/// What is asked under load.
const QUESTIONS: [(&str, RecordType); 9] = [
    (HUB, RecordType::A),
    (HUB, RecordType::TXT),
    (API, RecordType::A),
    (API, RecordType::AAAA),
    ("www.example.net.", RecordType::A),
    ("version.example.net.", RecordType::TXT),
    ("any.wild.example.net.", RecordType::A),
    ("nobody.example.net.", RecordType::A),
    ("example.net.", RecordType::SOA),
];

/// Seconds. Every TTL tells the serial, those of the hubs, which are policy, as well.
fn ttl(serial: u32) -> u32 {
    1_000 + serial
}

/// A zone whose every answer tells its serial.
fn zone(site: &Site, serial: u32) -> String {
    let text = crate::process::zone(site.net, serial, &format!("serial {serial}"));
    let ttl = ttl(serial);
    text.replace("$TTL 60", &format!("$TTL {ttl}"))
        .replace(" 86400 30", &format!(" 86400 {ttl}"))
        .replace(" 5 IN A", " IN A")
}

/// The answer that belongs to a serial while westeurope is active: its response code, answer and authority section.
fn expected(site: &Site, (name, kind): (&str, RecordType), serial: u32) -> (ResponseCode, Vec<String>, Vec<String>) {
    let (ttl, weu) = (ttl(serial), site.net.weu());
    let one = |data: &str| format!("{name} {ttl} {kind} {data}");
    let negative = || {
        vec![format!("example.net. {ttl} SOA ns.example.net. hostmaster.example.net. {serial} 3600 600 86400 {ttl}")]
    };
    let cname = || format!("{HUB} {ttl} CNAME hub-weu.example.net.");
    let good = |answers| (ResponseCode::NoError, answers, Vec::new());
    match (name, kind) {
        (HUB, RecordType::A) => good(vec![cname(), format!("hub-weu.example.net. {ttl} A {weu}")]),
        (HUB, _) => (ResponseCode::NoError, vec![cname()], negative()),
        (API, RecordType::A) => good(vec![one(&weu.to_string())]),
        (API, _) => (ResponseCode::NoError, Vec::new(), negative()),
        ("www.example.net.", _) => good(vec![one("192.0.2.1"), one(&format!("192.0.2.{}", serial % 200 + 10))]),
        ("version.example.net.", _) => good(vec![one(&format!("serial {serial}"))]),
        ("any.wild.example.net.", _) => good(vec![one("192.0.2.7")]),
        ("nobody.example.net.", _) => (ResponseCode::NXDomain, Vec::new(), negative()),
        _ => good(negative()),
    }
}

fn lines(records: &[Record]) -> Vec<String> {
    let mut lines: Vec<String> =
        records.iter().map(|r| format!("{} {} {} {}", r.name, r.ttl, r.record_type(), r.data)).collect();
    lines.sort_by_key(|line| !line.contains("CNAME"));
    lines
}

/// Writes zone and policy of this serial.
fn write(site: &Site, serial: u32) {
    site.write("zones/example.net.zone", &zone(site, serial));
    site.write("zones/example.net.toml", &timed_policy(site, serial));
}

fn timed_policy(site: &Site, serial: u32) -> String {
    policy(site.net, QUICK).replace("ttl = \"5s\"", &format!("ttl = \"{}s\"", ttl(serial)))
}

/// A site of this serial with a second zone, its regions up and its daemon.
fn running(serial: u32) -> (Site, (Region, Region), Daemon) {
    let site = Site::new(QUICK);
    write(&site, serial);
    site.edit("config/concierge.toml", "workers = 1", "workers = 2");
    // Whole answers are compared, also to queries so short that over UDP they would be sent to TCP.
    site.edit("config/concierge.toml", "[health]", "[limits]\namplification = 0\n[health]");
    site.write(
        "zones/example.org.zone",
        "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 30\n@ NS ns\nns A 192.0.2.53\n",
    );
    let regions = (Region::start(site.net.weu()), Region::start(site.net.neu()));
    let daemon = Daemon::start(&site);
    assert!(eventually(SOON, || health(&site, "up")), "{}", site.status());
    (site, regions, daemon)
}

/// `concierge reload` by the socket, as an operator does whose configuration file is broken.
fn reload(site: &Site) -> Output {
    site.concierge(&["reload", "--socket", site.socket().to_str().unwrap()])
}

fn reloads_well(site: &Site) {
    let output = reload(site);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// SIGHUP, and the log line that says how it ended.
fn hang_up(site: &Site, daemon: &Daemon) -> Value {
    let loads = || {
        let totals = &status(site)["totals"];
        totals["reloads_ok"].as_u64().unwrap() + totals["reloads_refused"].as_u64().unwrap()
    };
    let before = loads();
    daemon.signal("HUP");
    assert!(eventually(SOON, || loads() > before), "no reload");
    // Lines of the log are seen a little after they were written. The first load is no reload.
    let told = || daemon.log.lock().unwrap().iter().filter(|line| line["event"] == "reload").count() as u64;
    assert!(eventually(SOON, || told() == before), "{} loads, {} lines", before + 1, told());
    daemon.said("reload").unwrap()
}

fn status(site: &Site) -> Value {
    request(&site.socket(), "GET", "/v1/status", "").unwrap().1
}

fn serial(site: &Site) -> u32 {
    let answer = ask(site.net.dns(), "example.net.", RecordType::SOA);
    let RData::SOA(soa) = &answer.answers[0].data else { panic!("no SOA: {answer:?}") };
    soa.serial
}

/// The value of a metric without labels, or with exactly these.
fn metric(site: &Site, name: &str) -> f64 {
    let (_, page) = request(&site.socket(), "GET", "/metrics", "").unwrap();
    let page = page.as_str().unwrap().to_owned();
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.trim_start_matches("{}").strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

/// A way to break the files, and what the refusal has to say. Every one writes the next serial as well, so that an
/// answer of a refused load would be seen.
struct Broken {
    what: &'static str,
    breaks: fn(&Site, u32),
    said: &'static [&'static str],
}

const BROKEN: [Broken; 6] = [
    Broken {
        what: "a syntax error in the zone",
        breaks: |site, serial| {
            site.write("zones/example.net.zone", &format!("{}bad IN A 192.0.2.\n", zone(site, serial)))
        },
        said: &["example.net.zone:11:10"],
    },
    Broken {
        what: "an unknown key in the policy",
        breaks: |site, serial| {
            let policy = timed_policy(site, serial).replace("dwell = ", "dwel = ");
            site.write("zones/example.net.toml", &policy);
        },
        said: &["example.net.toml:13:1", "`dwel`", "example.net.toml:21:1"],
    },
    Broken {
        what: "a hub outside any zone",
        breaks: |site, serial| {
            let policy = timed_policy(site, serial).replace("hubs.\"api.example.net.\"", "hubs.\"api.example.com.\"");
            site.write("zones/example.net.toml", &policy);
        },
        said: &["example.net.toml:19:7", "api.example.com."],
    },
    Broken {
        what: "a zone that is gone though hubs need it",
        breaks: |site, _| std::fs::remove_file(site.path("zones/example.net.zone")).unwrap(),
        said: &["example.net.toml:11:7", HUB, "example.net.toml:19:7", API],
    },
    Broken {
        what: "a broken configuration",
        breaks: |site, _| site.edit("config/concierge.toml", "workers = ", "worker = "),
        said: &["concierge.toml:5:1", "`worker`"],
    },
    Broken {
        what: "a zone that is no text",
        breaks: |site, _| std::fs::write(site.path("zones/example.net.zone"), [0xff; 4096]).unwrap(),
        said: &["example.net.zone:1:1"],
    },
];

impl Broken {
    /// Breaks the files, sees that they are refused and that nothing changes but the word of it, and mends them.
    fn refused(&self, site: &Site, daemon: &Daemon, serial: u32, by_signal: bool) {
        let what = self.what;
        let (good, refused) = (metric(site, LOADED), metric(site, REFUSED));
        let config = std::fs::read_to_string(site.path("config/concierge.toml")).unwrap();
        write(site, serial + 1);
        (self.breaks)(site, serial + 1);
        if by_signal {
            let line = hang_up(site, daemon);
            assert_eq!(line["level"], "ERROR", "{what}: {line}");
            let sentence = line["message"].as_str().unwrap();
            assert!(sentence.contains("the running answers stay"), "{what}: {sentence}");
        } else {
            let output = reload(site);
            assert_eq!(output.status.code(), Some(78), "{what}: {output:?}");
            let error = text(&output.stderr);
            for said in self.said {
                assert!(error.contains(said), "{what}: expected {said} in: {error}");
            }
        }
        let status = status(site);
        assert_eq!(status["reload"]["ok"], false, "{what}");
        let problems = status["reload"]["problems"].to_string();
        for said in self.said {
            assert!(problems.contains(said), "{what}: expected {said} in: {problems}");
        }
        assert_eq!(metric(site, "concierge_load_ok"), 0.0, "{what}");
        assert_eq!((metric(site, LOADED), metric(site, REFUSED)), (good, refused + 1.0), "{what}");
        assert_eq!(self::serial(site), serial, "{what}");
        site.write("config/concierge.toml", &config);
        write(site, serial + 1);
    }
}

const LOADED: &str = "concierge_loads_total{result=\"ok\"}";
const REFUSED: &str = "concierge_loads_total{result=\"refused\"}";

#[test]
fn a_bad_file_is_explained_and_changes_nothing() {
    let (site, _regions, daemon) = running(1);
    let config = std::fs::read_to_string(site.path("config/concierge.toml")).unwrap();
    for broken in &BROKEN {
        broken.refused(&site, &daemon, 1, false);
        broken.refused(&site, &daemon, 1, true);
        (broken.breaks)(&site, 2);
        let checked = site.concierge(&["check"]);
        assert_eq!(checked.status.code(), Some(78), "{}: `check` says so too: {checked:?}", broken.what);
        site.write("config/concierge.toml", &config);
    }
    write(&site, 2);
    reloads_well(&site);
    assert_eq!(serial(&site), 2);
    assert_eq!((&status(&site)["reload"]["ok"], metric(&site, "concierge_load_ok")), (&true.into(), 1.0));
}

/// A serial and the moments between which it may have been answered.
#[derive(Clone, Copy, Debug)]
struct Reign {
    serial: u32,
    /// Before the reload that brought it was asked for.
    from: Instant,
    /// After the reload that ended it was acknowledged.
    until: Option<Instant>,
}

const PER_SECOND: f64 = 5_000.0;
/// For how long, and over how many good loads, at least.
const LASTING: Duration = Duration::from_secs(10);
const RELOADS: usize = 20;
/// The kernel gives every socket one of the daemon's workers.
const SOCKETS: usize = 4;

#[test]
fn reloads_under_five_thousand_queries_a_second_lose_nothing_and_answer_nothing_wrong() {
    let (site, _regions, daemon) = running(1);
    let plain = QUESTIONS.iter().map(|(name, kind)| query(0, name, *kind));
    let edns = plain.clone().map(with_edns);
    let questions: Vec<Vec<u8>> = plain.chain(edns).collect();
    let started = Instant::now();
    let each = PER_SECOND / SOCKETS as f64;
    let loads = [(); SOCKETS].map(|()| load::start(site.net.dns(), questions.clone(), each));

    let mut reigns = vec![Reign { serial: 1, from: started, until: None }];
    let mut broken = BROKEN.iter().cycle();
    let mut refused = 0;
    let mut serial = 1;
    while started.elapsed() < LASTING || reigns.len() < RELOADS || refused < BROKEN.len() {
        // Serials of refused loads are never answered: good ones are odd.
        serial += 2;
        write(&site, serial);
        let from = Instant::now();
        if serial % 4 == 1 {
            assert_eq!(hang_up(&site, &daemon)["level"], "INFO")
        } else {
            reloads_well(&site)
        }
        reigns.last_mut().unwrap().until = Some(Instant::now());
        reigns.push(Reign { serial, from, until: None });
        assert_eq!(status(&site)["reload"]["ok"], true);
        if serial % 8 < 4 {
            broken.next().unwrap().refused(&site, &daemon, serial, refused % 2 == 0);
            refused += 1;
        }
    }
    let loads = loads.map(Running::stop);
    println!("{} serials, {refused} refused loads", reigns.len());
    for load in &loads {
        judge(&site, load, &reigns);
    }
    let status = status(&site);
    let stands = status["hubs"].as_array().unwrap().iter().map(|hub| (&hub["active"], &hub["epoch"]));
    assert!(stands.eq([(&"westeurope".into(), &1.into()); 2]), "{status}");
}

/// Nothing is lost, and every answer is whole, and of a serial that was current between its query and it.
fn judge(site: &Site, load: &Load, reigns: &[Reign]) {
    let count = load.sent;
    assert_eq!(load.exchanges.len(), count, "every query is answered");
    let rate = count as f64 / load.lasted.as_secs_f64();
    assert!(rate > 0.5 * PER_SECOND / SOCKETS as f64, "the load was too thin: {rate:.0} queries a second");
    let mut waited: Vec<Duration> = load.exchanges.iter().map(|x| x.received - x.sent).collect();
    waited.sort();
    let [p50, p99, most] = [count / 2, count * 99 / 100, count - 1].map(|at| waited[at]);
    println!(
        "{rate:.0} queries a second, {} distinct answers, waited {p50:.2?} p99 {p99:.2?} at most {most:.2?}",
        load.answers.len()
    );
    // By question and answer: the position of its serial among the reigns.
    let mut known: HashMap<(usize, usize), usize> = HashMap::new();
    let mut last = 0;
    for exchange in &load.exchanges {
        let key = (exchange.question, exchange.answer);
        let at = *known.entry(key).or_insert_with(|| reign(site, &load.answers[key.1], key.0, reigns));
        let Reign { serial, from, until } = reigns[at];
        assert!(exchange.received >= from, "serial {serial} before it was asked for: {exchange:?}");
        assert!(until.is_none_or(|until| exchange.sent <= until), "serial {serial} though it was over: {exchange:?}");
        assert!(at >= last, "serial {serial} after {}", reigns[last].serial);
        last = at;
    }
}

/// Which reign an answer is of, down to its last record.
fn reign(site: &Site, answer: &[u8], question: usize, reigns: &[Reign]) -> usize {
    let (with_edns, question) = (question >= QUESTIONS.len(), QUESTIONS[question % QUESTIONS.len()]);
    let message = Message::from_vec(answer).unwrap();
    let header = &message.metadata;
    assert!(header.authoritative && !header.truncation && header.recursion_desired && !header.recursion_available);
    assert_eq!(message.queries.len(), 1);
    assert_eq!((message.queries[0].name.to_string().as_str(), message.queries[0].query_type), question);
    assert_eq!((message.edns.is_some(), message.additionals.len()), (with_edns, 0), "{message:?}");
    let said = (header.response_code, lines(&message.answers), lines(&message.authorities));
    let position = reigns.iter().position(|reign| expected(site, question, reign.serial) == said);
    position.unwrap_or_else(|| panic!("wrong answer: {said:?}"))
}

/// Adds an OPT record that offers 1232 octets (RFC 6891 6.1.2).
fn with_edns(mut query: Vec<u8>) -> Vec<u8> {
    query[11] = 1;
    query.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    query
}

#[test]
fn a_connection_outlives_reloads_and_sees_them() {
    let (site, _regions, daemon) = running(1);
    let mut stream = TcpStream::connect(site.net.dns()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut version = || {
        stream.write_all(&framed(&query(7, "version.example.net.", RecordType::TXT))).unwrap();
        let answer = read_message(&mut stream).unwrap();
        lines(&Message::from_vec(&answer).unwrap().answers).remove(0)
    };
    assert_eq!(version(), "version.example.net. 1001 TXT serial 1");
    write(&site, 2);
    reloads_well(&site);
    assert_eq!(version(), "version.example.net. 1002 TXT serial 2");
    BROKEN[0].refused(&site, &daemon, 2, false);
    assert_eq!(version(), "version.example.net. 1002 TXT serial 2");
    write(&site, 3);
    hang_up(&site, &daemon);
    assert_eq!(version(), "version.example.net. 1003 TXT serial 3");
}

#[test]
fn a_reload_keeps_health_marks_and_epochs() {
    let (site, regions, _daemon) = running(1);
    site.ok(&["failover", HUB, "--to", "northeurope", "--now", "--yes", "--detach", "--reason", "drill"]);
    site.ok(&["mark", "api.example.net./northeurope", "drain", "--reason", "canary", "--author", "bob"]);
    drop(regions.0);
    assert!(eventually(SOON, || site.hub(HUB)["endpoints"][0]["measured"] == "down"));
    assert!(eventually(SOON, || site.hub(API)["endpoints"][0]["measured"] == "down"));
    // API has no better region than a drained one.
    assert!(eventually(SOON, || active(site.net.dns(), API) == site.net.neu()));
    let stands = || {
        let status = status(&site);
        let hub = |hub: &Value| {
            let endpoint = |endpoint: &Value| {
                ["region", "measured", "measured_since", "effective", "mark"].map(|key| endpoint[key].clone())
            };
            let endpoints: Vec<_> = hub["endpoints"].as_array().unwrap().iter().map(endpoint).collect();
            (["name", "active", "epoch", "since", "cause", "reason"].map(|key| hub[key].clone()), endpoints)
        };
        (status["hubs"].as_array().unwrap().iter().map(hub).collect::<Vec<_>>(), status["marks"].clone())
    };
    let before = stands();
    assert_eq!(before.1[0]["author"], "bob");
    write(&site, 2);
    // Other thresholds and another pace for the probe: what was measured stays.
    site.edit("zones/example.net.toml", "fall = 3\nrise = 3", "fall = 2\nrise = 4");
    reloads_well(&site);
    assert_eq!(serial(&site), 2);
    assert_eq!(stands(), before);

    // The prober goes on: a region that was down before the reload comes up after it.
    let _weu = Region::start(site.net.weu());
    assert!(eventually(SOON, || site.hub(HUB)["endpoints"][0]["measured"] == "up"), "{}", site.status());
    assert_eq!(active(site.net.dns(), HUB), site.net.neu());
}

#[test]
fn a_hub_comes_and_goes_and_never_counts_an_epoch_twice() {
    let (site, _regions, _daemon) = running(1);
    let (net, late) = (site.net, "late.example.net.");
    let without = timed_policy(&site, 1);
    let with = format!(
        "{without}\n[hubs.\"{late}\"]\ndwell = \"0s\"\nendpoints = [\n  {{ region = \"westeurope\", addresses = \
         [\"{}\"], probe = \"broker\" }},\n  {{ region = \"northeurope\", addresses = [\"{}\"], probe = \"broker\" \
         }},\n]\n",
        net.weu(),
        net.neu()
    );
    let load = |policy: &str| {
        site.write("zones/example.net.toml", policy);
        reloads_well(&site);
    };
    let rcode = || ask(net.dns(), late, RecordType::A).metadata.response_code;
    assert_eq!(rcode(), ResponseCode::NXDomain);
    load(&with);
    assert_eq!((active(net.dns(), late), &site.hub(late)["epoch"]), (net.weu().into(), &1.into()));
    site.ok(&["failover", late, "--to", "northeurope", "--now", "--yes", "--detach"]);
    load(&without);
    assert_eq!(rcode(), ResponseCode::NXDomain);
    load(&with);
    assert_eq!((active(net.dns(), late), &site.hub(late)["epoch"]), (net.neu().into(), &2.into()));
    assert_eq!((active(net.dns(), HUB), active(net.dns(), API)), (net.weu().into(), net.weu().into()));
}

#[test]
fn a_hub_whose_active_region_is_removed_moves_with_the_reload() {
    let (site, _regions, _daemon) = running(1);
    let (net, weu) = (site.net, site.net.weu());
    let both = timed_policy(&site, 1);
    let endpoint = format!("  {{ region = \"westeurope\", addresses = [\"{weu}\"], probe = \"broker\" }},\n");
    assert!(both.contains(&endpoint));
    site.write("zones/example.net.toml", &both.replace(&endpoint, ""));
    reloads_well(&site);
    assert_eq!((active(net.dns(), API), active(net.dns(), HUB)), (net.neu().into(), weu.into()));
    let hub = site.hub(API);
    assert_eq!((&hub["epoch"], &hub["cause"], &hub["active"]), (&2.into(), &"policy".into(), &"northeurope".into()));

    // It is there again, and nobody goes back by itself.
    site.write("zones/example.net.toml", &both);
    reloads_well(&site);
    assert_eq!((active(net.dns(), API), &site.hub(API)["epoch"]), (net.neu().into(), &2.into()));
}

#[test]
fn a_reload_of_the_same_files_changes_no_answer() {
    let (site, _regions, daemon) = running(1);
    let dns = site.net.dns();
    site.ok(&["failover", HUB, "--to", "northeurope", "--now", "--yes", "--detach"]);
    let answers = || {
        QUESTIONS.map(|(name, kind)| {
            let Message { metadata, answers, authorities, .. } = ask(dns, name, kind);
            (metadata.response_code, lines(&answers), lines(&authorities))
        })
    };
    let stands = || {
        status(&site)["hubs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|h| (h["epoch"].clone(), h["since"].clone()))
            .collect::<Vec<_>>()
    };
    let before = (answers(), stands());
    reloads_well(&site);
    assert_eq!((answers(), stands()), before);
    hang_up(&site, &daemon);
    assert_eq!((answers(), stands()), before);
    assert_eq!(addresses(&ask(dns, HUB, RecordType::A)), [site.net.neu()]);
    assert_eq!(status(&site)["totals"]["reloads_ok"], 3);
    // Probers run on.
    assert!(eventually(SOON, || health(&site, "up")), "{} on {BROKER}", site.status());
}
