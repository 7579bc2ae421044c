//! The keys of an endpoint.

use super::*;

#[test]
fn answers() {
    check_endpoint(
        "{region=\"b\",probe=\"p\"}",
        &[
            "9:1: error: the endpoint has no answer, expected one of `cname`, `addresses`, `records`, `hub` (hint: add one of `cname`, `addresses`, `records`, `hub`)",
        ],
    );
    check_endpoint(
        "{region=\"b\",cname=\"b.example.com.\",addresses=[\"192.0.2.1\"],probe=\"p\"}",
        &[
            "9:46: error: the endpoint has two answers, `cname` and `addresses`, expected exactly one (hint: keep one of the two)",
        ],
    );
    check_endpoint(
        "{region=\"b\",cname=\"b.example.com.\",probes=\"p\"}",
        &[
            "9:36: error: unknown key `probes`, expected one of `region`, `cname`, `addresses`, `records`, `hub`, `at_least`, `weight`, `probe`, `shadow`, `target` (hint: did you mean `probe`?)",
        ],
    );
    check_endpoint(
        "{cname=\"b.example.com.\",probe=\"p\"},{region=\"b\",cname=\"c.example.com.\",probe=\"p\"}",
        &["9:1: error: the endpoint has no `region` (hint: add `region = \"NAME\"`)"],
    );
    check_endpoint(
        "5,{region=\"b\",cname=\"c.example.com.\",probe=\"p\"}",
        &[
            "9:1: error: an entry of `endpoints` is the integer 5, expected a table (hint: write a table: `{ region = \"NAME\", cname = \"TARGET.\", probe = \"NAME\" }`)",
        ],
    );
}

#[test]
fn names() {
    check_endpoint(
        "{region=\"b\",cname=\"b.example.com\",probe=\"p\"}",
        &[
            "9:19: error: `cname` `b.example.com` is a relative name, expected an absolute one (hint: write \"b.example.com.\")",
        ],
    );
    check_endpoint(
        "{region=\"b\",cname=\"b..com.\",probe=\"p\"}",
        &[
            "9:19: error: `cname` `b..com.` is not a domain name: empty label in the name (hint: write an absolute name such as \"www.example.net.\")",
        ],
    );
    check_endpoint(
        "{region=\"b\",cname=\"@\",probe=\"p\"}",
        &["9:19: error: `cname` `@` has no origin here (hint: write the zone's name with a final dot)"],
    );
}

#[test]
fn regions_once_each() {
    check_endpoint(
        "{region=\"a\",cname=\"b.example.com.\",probe=\"p\"},{region=\"b\",cname=\"c.example.com.\",probe=\"p\"}",
        &[
            "9:9: error: region `a` has two endpoints in this hub, expected one (first here: zones/example.net.toml:8:9) (hint: keep one of the two)",
        ],
    );
    check_endpoint(
        "{region=\"b\",cname=\"A.example.com.\",probe=\"p\"}",
        &[
            "9:19: warning: the target `A.example.com.` is answered for `b` and for `a` (the other one: zones/example.net.toml:8:19) (hint: a switch between the two changes nothing: write each region's own)",
        ],
    );
}

#[test]
fn addresses() {
    let check = |written: &str, expected: &str| {
        check_endpoint(&format!("{{region=\"b\",probe=\"p\",addresses={written}}}"), &[expected]);
    };
    check(
        "[]",
        "9:33: error: `addresses` is empty, expected at least one IP address (hint: write such as `[\"192.0.2.1\", \"2001:db8::1\"]`)",
    );
    check(
        "\"192.0.2.1\"",
        "9:33: error: `addresses` is \"192.0.2.1\", expected a list of IP addresses (hint: write such as `[\"192.0.2.1\", \"2001:db8::1\"]`)",
    );
    check(
        "[\"192.0.2.256\"]",
        "9:34: error: an entry of `addresses` is \"192.0.2.256\", expected an IP address (hint: write such as \"192.0.2.1\" or \"2001:db8::1\")",
    );
    check(
        "[\"192.0.2.1:80\"]",
        "9:34: error: an entry of `addresses` is \"192.0.2.1:80\", expected an IP address (hint: the port belongs to the probe: write \"192.0.2.1\")",
    );
    check(
        "[\"0.0.0.0\"]",
        "9:34: error: an entry of `addresses` is the unspecified address 0.0.0.0 (hint: write the address of the service)",
    );
    check(
        "[\"::\"]",
        "9:34: error: an entry of `addresses` is the unspecified address :: (hint: write the address of the service)",
    );
    check(
        "[\"ff02::1\"]",
        "9:34: error: an entry of `addresses` is the multicast address ff02::1 (hint: write the address of the service)",
    );
    check(
        "[\"255.255.255.255\"]",
        "9:34: error: an entry of `addresses` is the broadcast address 255.255.255.255 (hint: write the address of the service)",
    );
    check(
        "[\"::ffff:192.0.2.1\"]",
        "9:34: error: an entry of `addresses` is the IPv4-mapped address ::ffff:192.0.2.1 (hint: write \"192.0.2.1\")",
    );
    check(
        "[\"::1\",\"0:0::1\"]",
        "9:40: error: the address ::1 is written twice (first here: zones/example.net.toml:9:34) (hint: remove one of the two)",
    );
}

#[test]
fn targets() {
    let check = |written: &str, expected: &[&str]| {
        check_endpoint(&format!("{{region=\"b\",cname=\"b.example.com.\",probe=\"p\",target={written}}}"), expected);
    };
    check("\"x.example.com.\"", &[]);
    check("[\"192.0.2.1\"]", &[]);
    check("\"192.0.2.1\"", &[]);
    check(
        "\"x.example.com\"",
        &[
            "9:53: error: `target` `x.example.com` is a relative name, expected an absolute one (hint: write \"x.example.com.\")",
        ],
    );
    check(
        "\"192.0.2.1:80\"",
        &[
            "9:53: error: `target` is \"192.0.2.1:80\", expected an IP address (hint: the port belongs to the probe: write \"192.0.2.1\")",
        ],
    );
    check(
        "7",
        &[
            "9:53: error: `target` is the integer 7, expected a host name, an IP address or a list of them (hint: write such as \"probe.example.net.\" or \"192.0.2.1\")",
        ],
    );
    check(
        "\"H.example.net.\"",
        &[
            "9:53: error: `target` is the hub itself, whose answer follows the active region, not this one (hint: write a host of this region)",
        ],
    );
    check_endpoint(
        "{region=\"b\",cname=\"b.example.com.\",target=\"x.example.com.\"}",
        &[
            "9:1: warning: the endpoint in `b` has no `probe`: its health stays unknown (hint: add `probe = \"p\"`)",
            "9:43: warning: `target` has no effect without `probe` (hint: add `probe`, or remove `target`)",
        ],
    );
}

#[test]
fn records() {
    let check = |written: &str, expected: &[&str]| {
        check_endpoint(&format!("{{region=\"b\",probe=\"p\",records={written}}}"), expected);
    };
    check("[\"A 192.0.2.1\"]", &[]);
    check(
        "[\"MX 10 m.example.com.\"]",
        &[
            "9:31: error: `records` has no address for the probe, expected `target` beside it (hint: add `target = \"HOST.\"`, the host that the probe dials)",
        ],
    );
    check(
        "[]",
        &[
            "9:31: error: `records` is empty, expected at least one record (hint: write such as `[\"A 192.0.2.1\", \"MX 10 mail.example.net.\"]`)",
        ],
    );
    check(
        "[\"A 192.0.2.1\", 3]",
        &[
            "9:47: error: an entry of `records` is the integer 3, expected a record (hint: write the type and the RDATA, such as \"MX 10 mail.example.net.\")",
        ],
    );
    check(
        "[\"A 192.0.2.1\", \"A  192.0.2.1\"]",
        &[
            "9:47: error: the A record is written twice (first here: zones/example.net.toml:9:32) (hint: remove one of the two)",
        ],
    );
    check(
        "[\"A 0.0.0.0\"]",
        &[
            "9:32: error: an entry of `records` is the unspecified address 0.0.0.0 (hint: write the address of the service)",
        ],
    );
    check(
        "[\" IN A 192.0.2.1\"]",
        &[
            "9:34: error: unknown record type `IN`, expected the type and the RDATA (hint: leave out class and TTL, which are IN and the hub's `ttl`)",
        ],
    );
    check(
        "[\"60 A 192.0.2.1\"]",
        &[
            "9:33: error: unknown record type `60`, expected the type and the RDATA (hint: leave out class and TTL, which are IN and the hub's `ttl`)",
        ],
    );
    check(
        "[\"AAAAA ::1\"]",
        &["9:33: error: unknown record type `AAAAA`, expected the type and the RDATA (hint: did you mean `AAAA`?)"],
    );
    check(
        "[\"CNAME x.example.com.\"]",
        &[
            "9:33: error: a hub's `records` have no CNAME: a CNAME is an answer of its own (hint: write `cname = \"TARGET.\"`)",
        ],
    );
    check(
        "[\"NS x.example.com.\"]",
        &[
            "9:33: error: a hub's `records` have no NS: it belongs to the zone (hint: write it in the zone's master file)",
        ],
    );
    check(
        "[\"MX 10 mail\"]",
        &["9:32: error: the MX record has a relative name, expected absolute ones (hint: end each name with a dot)"],
    );
    let wrong = |written: &str, place: &str| {
        let text = format!(
            "{COMMON}endpoints = [{{region=\"a\",probe=\"p\",records={written}}},\n{{region=\"b\",probe=\"p\",cname=\"b.example.com.\"}}]"
        );
        let (_, problems) = read(&[Source::new(FILE, text)], &[plain_zone()]);
        assert!(lines(&problems)[0].starts_with(&format!("{place}: error: ")), "{problems:?}");
        assert_eq!(problems.len(), 1, "{problems:?}");
    };
    wrong("[\"A 192.0.2.256\"]", "7:48");
    wrong("[\"MX ten m.example.com.\"]", "7:49");
    // An escape in the string: the place is the whole of it.
    wrong("[\"MX ten\\u0020m.example.com.\"]", "7:45");
}
