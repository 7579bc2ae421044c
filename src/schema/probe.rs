//! `[probes.NAME]`.

use super::node::Node;
use super::policy::status;

/// A host name without the final dot, or an address.
const HOST: &str = r"^([A-Za-z0-9._-]*[A-Za-z0-9_-]|[0-9A-Fa-f:.]+)$";
/// A request target in origin form.
const PATH: &str = "^/[!-~]*$";

const KINDS: [&str; 3] = ["tcp", "http", "https"];

pub(super) fn probe() -> Node {
    Node::table()
        .key("tcp", "A connection is made and closed.", tcp())
        .key(
            "http",
            "A GET request over HTTP/1.1.",
            http(80).key("tls", "`http` with `tls = true` is `https`.", Node::flag().default(false)),
        )
        .key("https", "A GET request over HTTP/1.1 and TLS; the certificate is always verified.", http(443))
        .key("interval", "Time between two observations, jittered by 10 %.", Node::duration("1s", "1h").default("5s"))
        .key(
            "timeout",
            "Later is a failed observation; at most `interval`.",
            Node::duration("100ms", "1m").default("2s"),
        )
        .key(
            "confirm",
            "The interval while observations contradict the health; at most `interval`.",
            Node::duration("100ms", "1h").default("1s"),
        )
        .key("fall", "So many failed observations in a row make `down`.", Node::integer(1..=100).default(3))
        .key("rise", "So many good ones in a row make `up` again.", Node::integer(1..=100).default(5))
        .key("shadow", "It is observed and shown, and decides nothing.", Node::flag().default(false))
        .exactly_one(&KINDS)
}

fn tcp() -> Node {
    Node::table().key("port", "The port that is dialed.", Node::port()).needs(&["port"])
}

fn http(port: i64) -> Node {
    let body = Node::octets(1..=2048);
    Node::table()
        .key("port", "The port that is dialed.", Node::port().default(port))
        .key("path", "The request target.", Node::pattern(PATH).default("/"))
        .key("host", "Host header and TLS server name. Default: what is probed.", Node::pattern(HOST))
        .key("status", "Another status is a failed observation.", status().default("200-299"))
        .key("body", "The first 64 KiB of the body have to contain it.", body)
        .key("ca", "Trust anchors, a PEM file, with TLS only. Default: the system's.", Node::path())
}
