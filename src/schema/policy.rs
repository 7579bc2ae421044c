//! `zones/*.toml`: the tables of a policy file.

use serde_json::Value;

use super::node::Node;
use super::{hub, probe};

/// A status code, or a range of them.
const STATUS: &str = r"^\s*[1-5][0-9]{2}\s*(-\s*[1-5][0-9]{2}\s*)?$";
/// An http or https URL with a host.
const URL: &str = "^https?://[^/#]+[^#]*$";
/// A JSON pointer (RFC 6901).
const POINTER: &str = "^(/([^~]|~[01])*)?$";
/// `HUB/REGION`.
const ENDPOINT: &str = r"^.*\./[a-z0-9][a-z0-9_-]{0,62}$";

pub(super) fn schema() -> Value {
    Node::table()
        .key("regions", "Failure domains.", Node::named(region()))
        .key("probes", "Definitions of health checks.", Node::named(probe::probe()))
        .key(
            "references",
            "What this node has to be able to reach, or it is the one that is cut off.",
            Node::named(reference()),
        )
        .key("gates", "Conditions that have to hold before an active region changes.", Node::named(gate()))
        .key("rules", "What has to hold over several hubs or regions after every switch.", Node::named(rule()))
        .key("geo", "The databases that say where a client is; one for all files.", geo())
        .key(
            "hubs",
            "Names whose answer depends on policy and region state; absolute names in a zone of the folder.",
            Node::by_domain(hub::hub()),
        )
        .document(
            "concierge: policy",
            "Regions, probes, gates, rules and hubs. All policy files of the folder merge into one policy.",
        )
}

fn geo() -> Node {
    Node::table()
        .key("database", "Country, continent and location of a client: a MaxMind DB file.", Node::path())
        .key("asn", "The autonomous system of a client: a MaxMind DB file.", Node::path())
        .at_least_one(&["database", "asn"])
}

fn region() -> Node {
    let location = Node::pair([Node::degrees(90), Node::degrees(180)], Node::degrees(180));
    Node::table().key("location", "Latitude and longitude in degrees, north and east positive.", location)
}

fn reference() -> Node {
    Node::table()
        .key("probe", "A probe that is no shadow.", Node::name())
        .key("target", "What the probe dials; of a list, one that answers is enough.", target())
        .needs(&["probe", "target"])
}

/// What a probe dials.
pub(super) fn target() -> Node {
    Node::any([Node::path(), Node::list(Node::path(), 1..=256)])
}

/// A status code, a range of them, or a list of either.
pub(super) fn status() -> Node {
    let one = || Node::any([Node::integer(100..=599), Node::pattern(STATUS)]);
    Node::any([Node::integer(100..=599), Node::pattern(STATUS), Node::list(one(), 1..=100)])
}

/// A program and its arguments.
pub(super) fn exec() -> Node {
    let command = Node::list(Node::octets(0..=2048), 1..=64);
    Node::table()
        .key("command", "A program, as a path, and its arguments; no shell is between.", command)
        .needs(&["command"])
}

/// Where in a JSON body a value stands.
pub(super) fn pointer() -> Node {
    Node::pattern(POINTER)
}

/// What a value is compared with.
pub(super) fn scalar() -> Node {
    Node::any([Node::octets(0..=2048), Node::number(), Node::flag()])
}

fn gate() -> Node {
    let http = Node::table()
        .key("url", "An http or https URL with a host; no user, password or fragment.", Node::pattern(URL))
        .key("ca", "Trust anchors, a PEM file, for https. Default: the system's.", Node::path())
        .key("status", "Another status is shut.", status().default(200))
        .key("pointer", "Where in the JSON body the value stands (RFC 6901), with one comparison.", pointer())
        .key("equals", "Open when the value is this.", scalar())
        .key("at_most", "Open when the value is a number, and no larger.", Node::number())
        .key("at_least", "Open when the value is a number, and no smaller.", Node::number())
        .needs(&["url"])
        .only_with("equals", "pointer")
        .only_with("at_most", "pointer")
        .only_with("at_least", "pointer");
    Node::table()
        .key("http", "A GET request; open when status and value are as they have to be.", http)
        .key("exec", "A program; open when it exits with 0.", exec())
        .key("ack", "Open once an operator has acknowledged it, for one hub and one epoch.", Node::only_true())
        .key("interval", "Time between two looks.", Node::duration("1s", "1h").default("30s"))
        .key("timeout", "A look that takes longer is shut.", Node::duration("100ms", "5m").default("5s"))
        .key(
            "max_age",
            "Older evidence counts as shut. Default: three intervals and the timeout.",
            Node::duration("1s", "1d"),
        )
        .exactly_one(&["http", "exec", "ack"])
}

fn rule() -> Node {
    let count = || Node::integer(0..=4096);
    let some = |item| Node::list(item, 1..=4096);
    Node::table()
        .key("at_least", "So many of the endpoints in `of` are active after the switch, at least.", count())
        .key("at_most", "So many of the endpoints in `of` are active after the switch, at most.", count())
        .key("of", "The endpoints that are counted, each as HUB/REGION.", some(Node::pattern(ENDPOINT)))
        .key("gate", "A gate that has to be open.", Node::name())
        .key("hubs", "For every switch of these hubs.", some(Node::domain()))
        .key("regions", "For every switch from or to one of these regions.", some(Node::name()))
        .exactly_one(&["at_least", "at_most", "gate"])
        .only_with("at_least", "of")
        .only_with("at_most", "of")
        .only_with("hubs", "gate")
        .only_with("regions", "gate")
        .not_both("gate", "of")
}
