//! `[probes.NAME]`.

use super::node::Node;
use super::policy::{exec, pointer, scalar, status};

/// A host name without the final dot, or an address.
const HOST: &str = r"^([A-Za-z0-9._-]*[A-Za-z0-9_-]|[0-9A-Fa-f:.]+)$";
/// A request target in origin form.
const PATH: &str = "^/[!-~]*$";
/// The name of a variable of the environment.
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
/// A text without control characters.
const PLAIN: &str = r"^[^\u0000-\u001f\u007f]+$";
/// A topic without wildcards.
const TOPIC: &str = r"^[^+#\u0000-\u001f\u007f]+$";
/// Visible octets.
const GRAPHIC: &str = "^[!-~]+$";

/// A kind: its key, its sentence, its table.
type Kind = (&'static str, &'static str, fn() -> Node);

#[rustfmt::skip] // a line a kind
const KINDS: &[Kind] = &[
    ("tcp", "A connection is made, and a text sent or expected where one is written.", tcp),
    ("tls", "A TLS handshake; the certificate is verified, and its end is looked at.", tls),
    ("http", "A request over HTTP.", || http(80).key("tls", "`http` with `tls = true` is `https`.", Node::flag().default(false))),
    ("https", "A request over HTTP and TLS; the certificate is always verified.", || http(443)),
    ("mqtt", "An MQTT session is begun as a device begins it.", mqtt),
    ("amqp", "An AMQP 1.0 connection is opened and closed.", amqp),
    ("grpc", "A gRPC server is asked whether it serves.", grpc),
    ("dns", "A DNS query is sent and its response judged.", dns),
    ("icmp", "An ICMP echo request is sent and its reply waited for.", icmp),
    ("exec", "A program; good when it exits with 0.", exec),
    ("push", "Whoever is probed says itself how it is, by the admin API.", push),
    ("composite", "Other probes of the same target.", composite),
];

pub(super) fn probe() -> Node {
    let kinds: Vec<&str> = KINDS.iter().map(|(key, ..)| *key).collect();
    let table = KINDS.iter().fold(Node::table(), |table, (key, sentence, kind)| table.key(key, sentence, kind()));
    let source = Node::any([
        Node::path(),
        Node::table().key("interface", "The name of an interface.", Node::octets(1..=15)).needs(&["interface"]),
    ]);
    table
        .key("source", "The address or interface of this machine that is dialled from.", source)
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
        .key(
            "fall",
            "So many failed observations in a row make `down`. Default: 3, of `push` 1.",
            Node::integer(1..=100),
        )
        .key("rise", "So many good ones in a row make `up` again. Default: 5, of `push` 1.", Node::integer(1..=100))
        .key("shadow", "It is observed and shown, and decides nothing.", Node::flag().default(false))
        .exactly_one(&kinds)
}

fn port() -> Node {
    Node::port()
}

const PORT: &str = "The port that is dialled.";

fn tcp() -> Node {
    Node::table()
        .key("port", PORT, port())
        .key("send", "A text that is sent.", Node::octets(1..=2048))
        .key("expect", "A text that the peer has to send.", Node::octets(1..=2048))
        .needs(&["port"])
}

fn tls() -> Node {
    named_certificates(Node::table().key("port", PORT, port().default(443)))
        .key("expiry_fail", "A certificate that ends sooner is a failed observation.", Node::duration("1h", "365d"))
        .key("expiry_warn", "A certificate that ends sooner is said.", Node::duration("1h", "365d").default("14d"))
}

fn http(usual: i64) -> Node {
    let field = Node::any([Node::octets(0..=2048), secret()]);
    let table = Node::table()
        .key("port", PORT, port().default(usual))
        .key("path", "The request target.", Node::pattern(PATH).default("/"))
        .key("host", "Host header and TLS server name. Default: what is probed.", Node::pattern(HOST))
        .key("status", "Another status is a failed observation.", status().default("200-299"))
        .key("body", "The first 64 KiB of the body have to contain it.", Node::octets(1..=2048))
        .key("method", "The method of the request.", Node::words(&["GET", "HEAD", "POST", "OPTIONS"]).default("GET"))
        .key("version", "The version of HTTP.", Node::words(&["1.1", "2"]).default("1.1"))
        .key("headers", "Fields of the request, each a text or the place of a secret.", Node::fields(field))
        .key("pointer", "Where in the JSON body a value stands (RFC 6901), with one comparison.", pointer())
        .key("equals", "Good when the value is this.", scalar())
        .key("at_most", "Good when the value is a number, and no larger.", Node::number())
        .key("at_least", "Good when the value is a number, and no smaller.", Node::number())
        .key("keep_alive", "The connection is kept for the next observation.", Node::flag().default(false))
        .only_with("equals", "pointer")
        .only_with("at_most", "pointer")
        .only_with("at_least", "pointer");
    certificates(table)
}

fn dns() -> Node {
    let rcodes = ["NOERROR", "NXDOMAIN", "REFUSED", "SERVFAIL", "FORMERR", "NOTIMP"];
    Node::table()
        .key("port", PORT, port().default(53))
        .key("name", "The name that is asked for.", Node::domain())
        .key("type", "The type that is asked for.", Node::pattern("^[A-Za-z][A-Za-z0-9-]*$").default("A"))
        .key("rcode", "The response code that is expected.", Node::words(&rcodes).default("NOERROR"))
        .key("answer", "RDATA that the answer has to have, as in a master file.", Node::path())
        .needs(&["name"])
}

fn icmp() -> Node {
    Node::table()
}

fn mqtt() -> Node {
    let table = Node::table()
        .key("port", "The port that is dialled. Default: 1883, with TLS 8883; over WebSocket 80, with TLS 443.", port())
        .key("tls", "Whether TLS is spoken.", Node::flag().default(false))
        .key("websocket", "The request target of the WebSocket that MQTT goes over.", Node::pattern(PATH))
        .key("version", "The version of MQTT.", Node::words(&["3.1.1", "5"]).default("3.1.1"))
        .key("client_id", "The client identifier.", identifier())
        .key("username", "The user name.", username())
        .key("password", "Where the password stands, or what it is made of.", password())
        .key("topic", "A topic of a round trip: what is published there has to come back.", Node::pattern(TOPIC))
        .key("alpn", "The protocol that the TLS handshake names.", Node::pattern(GRAPHIC));
    named_certificates(table)
}

fn amqp() -> Node {
    let table = Node::table()
        .key("port", "The port that is dialled. Default: 5672, with TLS 5671.", port())
        .key("tls", "Whether TLS is spoken.", Node::flag().default(false))
        .key("host", "The host name that the connection is opened for. Default: what is probed.", Node::pattern(PLAIN))
        .key("container_id", "The identifier of the container.", identifier())
        .key(
            "sasl",
            "How the probe says who it is. Default: `plain` with credentials, else `anonymous`.",
            Node::words(&["plain", "external", "anonymous", "none"]),
        )
        .key("username", "The user name.", username())
        .key("password", "Where the password stands, or what it is made of.", password());
    named_certificates(table)
}

fn grpc() -> Node {
    let table = Node::table()
        .key("port", PORT, port())
        .key("service", "The service whose health is asked for. Default: that of the server as a whole.", identifier())
        .key("tls", "Whether TLS is spoken.", Node::flag().default(false))
        .key("host", "The authority of the request, and TLS server name. Default: what is probed.", Node::pattern(HOST))
        .needs(&["port"]);
    certificates(table)
}

fn push() -> Node {
    Node::table().key("lease", "So long what was said holds.", Node::duration("1s", "1h").default("30s"))
}

fn composite() -> Node {
    let probes = || Node::list(Node::name(), 1..=32);
    Node::table()
        .key("all", "All of these are good.", probes())
        .key("any", "One of these is good.", probes())
        .key("at_least", "So many of `of` are good.", Node::integer(1..=32))
        .key("of", "Of these, `at_least` so many are good.", probes())
        .exactly_one(&["all", "any", "at_least"])
        .only_with("at_least", "of")
        .only_with("of", "at_least")
}

/// The keys of TLS.
fn certificates(table: Node) -> Node {
    table
        .key("ca", "Trust anchors, a PEM file, with TLS only. Default: the system's.", Node::path())
        .key("cert", "The certificate that the probe shows, a PEM file, with TLS only.", Node::path())
        .key("key", "The private key of `cert`, a PEM file.", Node::path())
        .only_with("cert", "key")
        .only_with("key", "cert")
}

/// The keys of TLS, where nothing else names the host.
fn named_certificates(table: Node) -> Node {
    let sentence = "The name that the certificate has to be valid for. Default: what is probed.";
    certificates(table).key("name", sentence, Node::pattern(HOST))
}

fn identifier() -> Node {
    Node::pattern(PLAIN)
}

fn username() -> Node {
    Node::pattern(PLAIN)
}

/// Where a secret stands.
fn secret() -> Node {
    places().exactly_one(&["file", "env"])
}

fn places() -> Node {
    Node::table().key("file", "A file that holds the secret.", Node::path()).key(
        "env",
        "A variable of the environment that holds the secret.",
        Node::pattern(VARIABLE),
    )
}

/// Where a password stands, or a shared access signature that is made for each connection.
fn password() -> Node {
    let sas = Node::table()
        .key("key", "Where the key of the signature stands.", secret())
        .key("resource", "What access is asked for.", Node::pattern(PLAIN))
        .key("policy", "The name of the policy that the key belongs to.", identifier())
        .needs(&["key", "resource"]);
    let sentence = "A shared access signature that is made for each connection.";
    places().key("sas", sentence, sas).exactly_one(&["file", "env", "sas"])
}
