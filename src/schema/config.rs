//! `config/concierge.toml`.

use serde_json::{Value, json};

use super::node::Node;

/// A size with its unit.
const SIZE: &str = "^[0-9]+(KiB|MiB|GiB)$";
/// A short time with its unit.
const MICROS: &str = "^([0-9]+(us|ms)|0s)$";
/// An address with a port; IPv6 in brackets.
const SOCKET: &str = r"^([0-9.]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$";
/// An address or a prefix.
const PREFIX: &str = "^([0-9.]+|[0-9A-Fa-f:.]+)(/[0-9]{1,3})?$";
/// An address, with or without a port.
const RESOLVER: &str = r"^([0-9.]+(:[0-9]{1,5})?|[0-9A-Fa-f:.]+|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5})$";

pub(super) fn schema() -> Value {
    let sockets = |least| Node::list(Node::pattern(SOCKET), least..=256);
    let prefixes = || Node::list(Node::pattern(PREFIX), 0..=256);
    let listen = Node::table()
        .key(
            "dns",
            "Addresses served over UDP and TCP; port 0 takes a free one.",
            sockets(1).default(json!(["127.0.0.1:5300", "[::1]:5300"])),
        )
        .key("workers", "UDP workers for each address; 0 is one a core.", Node::integer(0..=256).default(0))
        .key(
            "tcp_workers",
            "TCP workers for all addresses together; 0 is one a core.",
            Node::integer(0..=256).default(0),
        )
        .key(
            "udp_receive_buffer",
            "Queries that wait for one UDP worker: 64KiB to 1GiB.",
            Node::pattern(SIZE).default("8MiB"),
        )
        .key(
            "udp_send_buffer",
            "Responses that the network has not taken from one UDP worker: 64KiB to 1GiB.",
            Node::pattern(SIZE).default("1MiB"),
        )
        .key(
            "busy_poll",
            "How long a UDP worker without queries looks for more before it sleeps, at most 10ms; 0s is off.",
            Node::pattern(MICROS).default("0s"),
        )
        .key("tls", "Addresses of DNS over TLS (RFC 7858).", sockets(0).default(json!([])))
        .key("https", "Addresses of DNS over HTTPS (RFC 8484), HTTP/1.1 and 2.", sockets(0).default(json!([])))
        .key("quic", "Addresses of DNS over QUIC (RFC 9250).", sockets(0).default(json!([])))
        .key("https3", "Addresses of DNS over HTTPS with HTTP/3.", sockets(0).default(json!([])));
    let limits = Node::table()
        .key(
            "max_udp_bytes",
            "Largest UDP response in octets, whatever the client offers.",
            Node::integer(512..=4096).default(1232),
        )
        .key(
            "tcp_connections",
            "TCP connections open at once, all addresses together.",
            Node::integer(1..=1_000_000).default(1024),
        )
        .key(
            "tcp_connections_per_client",
            "Connections that one client, an IPv4 address or an IPv6 /64, may have open at once, for each transport.",
            Node::integer(1..=1_000_000).default(128),
        )
        .key("tls_handshakes", "TLS handshakes that are under way at once.", Node::integer(16..=1_000_000).default(256))
        .key(
            "tls_handshakes_per_client",
            "TLS and QUIC handshakes that one client may begin in a second.",
            Node::integer(1..=1_000_000).default(50),
        )
        .key(
            "https_connections",
            "Connections of DNS over HTTPS open at once, all addresses together.",
            Node::integer(1..=1_000_000).default(1024),
        )
        .key(
            "quic_connections",
            "Connections of DNS over QUIC and HTTP/3 open at once, all addresses together.",
            Node::integer(1..=1_000_000).default(1024),
        )
        .key(
            "unlimited",
            "Clients without limits of their own: addresses and prefixes.",
            prefixes().default(json!(["127.0.0.0/8", "::1/128"])),
        )
        .key(
            "tcp_idle",
            "Time after which a TCP connection without a complete query is closed.",
            Node::duration("1s", "10m").default("10s"),
        )
        .key(
            "drain",
            "Time from the signal to stop until what is still open is cut.",
            Node::duration("0s", "5m").default("5s"),
        )
        .key(
            "trust_ecs_from",
            "Resolvers whose client subnet (RFC 7871) is believed: addresses and prefixes.",
            prefixes().default(json!([])),
        )
        .key(
            "queries_per_second_per_client",
            "Queries that one client, an IPv4 address or an IPv6 /64, may send in a second, all transports together, and as many at once; 0 is off.",
            Node::integer(0..=100_000).default(0),
        )
        .key(
            "amplification",
            "A response over UDP is at most so many times as long as its query, unless a valid cookie came with it; 0 is off.",
            Node::integer(0..=100).default(3),
        );
    let rate_limit = Node::table()
        .key(
            "responses_per_second",
            "Responses of a class that one network may be sent over UDP in a second; 0 is off.",
            Node::integer(0..=100_000).default(0),
        )
        .key("burst", "How many at once. Default: as many as in a second.", Node::integer(1..=1_000_000))
        .key(
            "slip",
            "Of those that are too many every n-th is sent truncated; 0 for none.",
            Node::integer(0..=10).default(2),
        )
        .key("ipv4_prefix", "Bits of IPv4 addresses that tell networks apart.", Node::integer(1..=32).default(24))
        .key("ipv6_prefix", "Bits of IPv6 addresses that tell networks apart.", Node::integer(1..=64).default(56))
        .key("exempt", "Networks without such a limit: addresses and prefixes.", prefixes().default(json!([])))
        .key(
            "table",
            "Memory: 8 octets for each network and class that is busy, 64KiB to 1GiB.",
            Node::pattern(SIZE).default("1MiB"),
        );
    let access = Node::table()
        .key("allow", "Addresses and prefixes that are answered.", prefixes().default(json!([])))
        .key("deny", "Addresses and prefixes that are not.", prefixes().default(json!([])))
        .key(
            "action",
            "What becomes of the queries of those that are not: REFUSED, or nothing.",
            Node::words(&["refuse", "drop"]).default("refuse"),
        );
    let tls = Node::table()
        .key("certificate", "PEM file of the certificate and those above it, the server's own first.", Node::path())
        .key("key", "PEM file of the private key.", Node::path());
    let proxy = Node::table().key(
        "from",
        "Prefixes whose connections and datagrams begin with a PROXY protocol header of version 2.",
        prefixes().default(json!([])),
    );
    let edns = Node::table()
        .key("cookies", "Whether cookies (RFC 7873) are answered.", Node::flag().default(true))
        .key(
            "cookie_secrets",
            "File of the secrets of server cookies, which servers can share: 32 hexadecimal digits a line, the first makes cookies, the others are accepted. Default: `cookie.keys` in the state folder.",
            Node::path(),
        )
        .key(
            "cookies_required",
            "Whether over UDP only clients with a valid server cookie are answered.",
            Node::flag().default(false),
        )
        .key("nsid", "What NSID (RFC 5001) says; nothing is off.", Node::octets(0..=128).default(""));
    let said = || Node::octets(0..=255).default("");
    let identity = Node::table()
        .key("version", "TXT of `version.bind` and `version.server` in class CH; nothing is refused.", said())
        .key("hostname", "TXT of `hostname.bind` in class CH; nothing is refused.", said())
        .key("id", "TXT of `id.server` in class CH (RFC 4892); nothing is refused.", said());
    let admin = Node::table().key(
        "socket",
        "The operators' Unix socket; only its owner may connect. Default: `admin.sock` in the state folder.",
        Node::path(),
    );
    let public = Node::table()
        .key("listen", "Addresses of the public read-only HTTP listener; none is off.", sockets(0).default(json!([])))
        .key(
            "connections",
            "HTTP connections open at once, all addresses together.",
            Node::integer(16..=1_000_000).default(10_000),
        );
    let resolvers = Node::list(Node::pattern(RESOLVER), 0..=256).default(json!([]));
    let health = Node::table().key("resolvers", "Recursive resolvers asked for the addresses of CNAME targets, port 53 where none is written. Default: those of /etc/resolv.conf.", resolvers);
    let audit = Node::table().key(
        "keep",
        "How long records of the audit trail are kept. Default: for ever.",
        Node::duration("1d", "36500d"),
    );
    let statistics = Node::table().key(
        "resolvers",
        "One of so many resolvers is watched for when it comes back after a switch; 0 for none.",
        Node::integer(0..=1024).default(8),
    );
    let sample = |default: i64| Node::integer(1..=1_000_000_000).default(default);
    let dnstap = Node::table()
        .key("socket", "Unix socket of a dnstap receiver, who may come and go. Default: none.", Node::path())
        .key("file", "File of dnstap messages. Default: none.", Node::path())
        .key("identity", "What the receiver is told that this server is.", Node::octets(0..=255).default(""))
        .key("sample", "One message in so many.", sample(1));
    let query_log = Node::table()
        .key("file", "File of JSON lines, one for a message. Default: none.", Node::path())
        .key("sample", "One message in so many.", sample(100));
    let process = Node::table()
        .key(
            "landlock",
            "Whether files other than those that the daemon needs are out of its reach.",
            Node::flag().default(true),
        )
        .key(
            "readable",
            "Files and folders that it may read all the same.",
            Node::list(Node::path(), 0..=256).default(json!([])),
        )
        .key(
            "drop_privileges",
            "Whether it gives up its capabilities, and the way to new ones, once it answers.",
            Node::flag().default(true),
        )
        .key(
            "core_dumps",
            "Whether its memory, which holds keys, may be written to a core dump and read by a debugger.",
            Node::flag().default(false),
        );
    let log = Node::table()
        .key(
            "format",
            "One line for people, or one JSON object a line.",
            Node::words(&["text", "json"]).default("text"),
        )
        .key("filter", "A level, or directives such as `info,concierge::health=debug`.", Node::path().default("info"));
    Node::table()
        .key("zones", "Folder of `*.zone` and policy `*.toml` files.", Node::path().default("../zones"))
        .key("state", "Folder of the store; made when it does not exist.", Node::path().default("../state"))
        .key("listen", "Where queries come in.", listen)
        .key("limits", "What one client, and all together, may use.", limits)
        .key("rate_limit", "Responses over UDP that one network may be sent, for each class: docs/abuse.md.", rate_limit)
        .key(
            "access",
            "Who is answered. Of the prefixes that a client is in the longest counts; one in none is answered if none is allowed.",
            access,
        )
        .key("tls", "The certificate of the encrypted listeners.", tls)
        .key("proxy", "Who speaks for others.", proxy)
        .key("edns", "What is said and heard in OPT records: docs/edns.md.", edns)
        .key("identity", "What the server says of itself in class CH.", identity)
        .key("admin", "The operators' API.", admin)
        .key("public", "What devices and back ends may ask over HTTP.", public)
        .key("health", "What the probers need to know of this machine.", health)
        .key("audit", "The audit trail.", audit)
        .key("statistics", "What is noted of those who ask.", statistics)
        .key("dnstap", "Messages for a dnstap receiver: docs/observability.md.", dnstap)
        .key("query_log", "Messages as lines of JSON: docs/observability.md.", query_log)
        .key("process", "What the process may do on its machine.", process)
        .key("log", "What is logged and how, to standard error.", log)
        .document(
            "concierge: configuration",
            "How the daemon runs. Every key has a default; paths are relative to the folder of the file.",
        )
}
