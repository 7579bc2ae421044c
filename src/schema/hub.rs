//! `[hubs."NAME."]`.

use serde_json::json;

use super::node::Node;
use super::policy::{exec, target};

/// The words of `budget` as a text.
const BUDGET: &str = r"^\s*([1-9]|[12][0-9]|3[0-2])\s+per\s+(hour|day|week)\s*$";
/// An http or https URL with a host.
const URL: &str = "^https?://[^/#]+[^#]*$";
/// A prefix with its length.
const SUBNET: &str = "^([0-9.]+|[0-9A-Fa-f:.]+)/[0-9]{1,3}$";
const POLICIES: [&str; 6] = ["priority", "weighted", "geo", "nearest", "all", "sticky"];
/// A type and its RDATA.
const RECORD: &str = r"^\s*[A-Za-z][A-Za-z0-9-]*\s+\S";

pub(super) fn hub() -> Node {
    let failback = Node::any([
        Node::words(&["manual"]),
        Node::table()
            .key("after", "So long the better region has been eligible.", Node::duration("1s", "30d"))
            .needs(&["after"]),
    ]);
    let when_all_down = Node::any([
        Node::words(&["keep", "all"]),
        Node::table().key("region", "The endpoint of last resort.", Node::name()).needs(&["region"]),
    ]);
    Node::table()
        .key("policy", "How the origin of a query becomes an endpoint.", Node::words(&POLICIES).default("priority"))
        .key("map", "Which regions the clients of which origin are answered with, under `geo` and `nearest`; the most specific entry counts.", Node::list(entry(), 1..=100_000))
        .key("default", "The regions for a client that no entry of the map is for. Default: the endpoints in order.", regions())
        .key("most", "So many endpoints are answered together, under `all`.", Node::integer(1..=64).default(64))
        .key("prefixes", "The clients of one prefix get the same endpoint, under `sticky`.", prefixes().default(json!({ "ipv4": 24, "ipv6": 56 })))
        .key("ttl", "TTL of the hub's answers, whole seconds.", Node::duration("5s", "1d").default("30s"))
        .key("ttl_min", "Answered in place of `ttl` while the active endpoint is in doubt, before a planned move and after a switch. Default: `ttl`.", Node::duration("5s", "1d"))
        .key("ttl_restore", "So long after the last reason for it `ttl_min` is still answered.", Node::duration("0s", "1d").default("5m"))
        .key("ttl_spread", "Each resolver gets a TTL that is lower by up to so many percent.", Node::integer(0..=50).default(0))
        .key("txt", "`_concierge.NAME` answers region, epoch and since as TXT.", Node::flag().default(false))
        .key("dwell", "Least time between two automatic switches.", Node::duration("0s", "7d").default("1m"))
        .key("rto", "Recovery time objective: a longer `ttl` is an error, a switch that may take longer a warning.", Node::duration("5s", "7d"))
        .key("failback", "When a better region that comes back takes over.", failback.default("manual"))
        .key("when_all_down", "What is answered when no endpoint may be chosen.", when_all_down.default("keep"))
        .key("endpoints", "What is answered for each region, in order of preference.", Node::list(endpoint(), 1..=256))
        .key("gates", "Gates that moves have to pass; the first that is shut is the hold.", Node::list(gate_use(), 0..=64))
        .key("flap_limit", "So many automatic switches within `flap_window` pin the hub.", Node::integer(1..=32).default(3))
        .key("flap_window", "The window of `flap_limit`.", Node::duration("1m", "7d").default("1h"))
        .key("budget", "So many switches of any origin within a period that ends now.", budget())
        .key("approvals", "So many operators a planned move needs.", Node::integer(1..=2).default(1))
        .key("fence", "The old region is told that it is no longer active, before the switch.", fence())
        .key("canary", "A name for drills: `concierge drill` may move it.", Node::flag().default(false))
        .needs(&["endpoints"])
}

/// Regions of the hub, in order of preference.
fn regions() -> Node {
    Node::list(Node::name(), 1..=64)
}

/// An entry of `map`.
fn entry() -> Node {
    Node::table()
        .key("subnet", "A prefix of IPv4 or IPv6.", Node::pattern(SUBNET))
        .key("asn", "An autonomous system.", Node::integer(1..=i64::from(u32::MAX)))
        .key("country", "A country: two capital letters (ISO 3166-1).", Node::pattern("^[A-Z]{2}$"))
        .key("continent", "A continent.", Node::words(&["AF", "AN", "AS", "EU", "NA", "OC", "SA"]))
        .key("to", "Regions of the hub, in order of preference.", regions())
        .needs(&["to"])
        .exactly_one(&["subnet", "asn", "country", "continent"])
}

fn prefixes() -> Node {
    Node::table().key("ipv4", "So many bits of an IPv4 address.", Node::integer(0..=32).default(24)).key(
        "ipv6",
        "So many bits of an IPv6 address.",
        Node::integer(0..=64).default(56),
    )
}

fn endpoint() -> Node {
    Node::table()
        .key("region", "A region, another one for each endpoint.", Node::name())
        .key("cname", "The CNAME target that is answered.", Node::domain())
        .key("addresses", "The addresses that are answered.", Node::list(Node::path(), 1..=256))
        .key(
            "records",
            "The records that are answered, each the type and the RDATA, without owner, TTL and class.",
            Node::list(Node::pattern(RECORD), 1..=256),
        )
        .key("hub", "Another hub, whose answer is given.", Node::domain())
        .key(
            "at_least",
            "So many endpoints of that hub have to be good for this one to be. Default: 1.",
            Node::integer(1..=64),
        )
        .key(
            "weight",
            "Its share of the queries among the usable endpoints, under `weighted`.",
            Node::integer(0..=65_535).default(1),
        )
        .key("probe", "The probe that decides. Without one the health stays unknown.", Node::name())
        .key("shadow", "A probe with `shadow = true`, which is shown and decides nothing.", Node::name())
        .key("target", "What the probes dial. Default: the CNAME target, or the addresses.", target())
        .needs(&["region"])
        .exactly_one(&["cname", "addresses", "records", "hub"])
}

fn gate_use() -> Node {
    let on_shut = Node::any([
        Node::words(&["hold"]),
        Node::table()
            .key("proceed_after", "So long the move waits, and then passes.", Node::duration("1s", "7d"))
            .needs(&["proceed_after"]),
    ]);
    Node::table()
        .key("gate", "A gate.", Node::name())
        .key("on", "The moves that have to pass it.", Node::words(&["failover", "failback", "both"]))
        .key("to", "Only moves to this region have to pass it.", Node::name())
        .key("on_shut", "What follows while it is shut.", on_shut.default("hold"))
        .needs(&["gate", "on"])
}

fn budget() -> Node {
    let table = Node::table()
        .key("switches", "So many switches.", Node::integer(1..=32))
        .key("per", "The period.", Node::words(&["hour", "day", "week"]))
        .needs(&["switches", "per"]);
    Node::any([Node::pattern(BUDGET), table])
}

fn fence() -> Node {
    let http = Node::table()
        .key("url", "An http or https URL that takes a POST of JSON.", Node::pattern(URL))
        .key("ca", "Trust anchors, a PEM file, for https. Default: the system's.", Node::path())
        .needs(&["url"]);
    Node::table()
        .key("http", "A POST of JSON; a status of 200 to 299 acknowledges.", http)
        .key("exec", "The same JSON on standard input of a program; exit code 0 acknowledges.", exec())
        .key("timeout", "So long the acknowledgement is waited for.", Node::duration("100ms", "5m").default("5s"))
        .key(
            "on_failure",
            "Without an acknowledgement the switch is made all the same, or it is not.",
            Node::words(&["proceed", "stop"]).default("proceed"),
        )
        .exactly_one(&["http", "exec"])
}
