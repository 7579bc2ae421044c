//! Probes that are shown and decide nothing.

use super::*;

#[test]
fn shadows() {
    check_endpoint(
        "{region=\"b\",cname=\"b.example.com.\",probe=\"s\"}]\n[probes.s]\ntcp.port = 2\nshadow = true\n[hubs.\"i.example.net.\"]\nendpoints = [{region=\"b\",cname=\"c.example.com.\",probe=\"p\"}",
        &[
            "9:1: warning: the endpoint in `b` has no `probe` but a shadow: its health stays unknown (hint: add `probe = \"p\"`, and call this one `shadow`)",
        ],
    );
    check_endpoint(
        "{region=\"b\",cname=\"b.example.com.\",shadow=\"s\"}]\n[probes.s]\ntcp.port = 2\nshadow = true\n[hubs.\"i.example.net.\"]\nendpoints = [{region=\"b\",cname=\"c.example.com.\",probe=\"p\"}",
        &["9:1: warning: the endpoint in `b` has no `probe`: its health stays unknown (hint: add `probe = \"p\"`)"],
    );
    check_endpoint(
        "{region=\"b\",cname=\"b.example.com.\",probe=\"s\",shadow=\"s\"}]\n[probes.s]\ntcp.port = 2\nshadow = true\n[hubs.\"i.example.net.\"]\nendpoints = [{region=\"b\",cname=\"c.example.com.\",probe=\"p\"}",
        &[
            "9:1: warning: the endpoint in `b` has no `probe` but a shadow: its health stays unknown (hint: add `probe = \"p\"`, and call this one `shadow`)",
            "9:53: error: the endpoint in `b` has two shadows, expected one (the first, called `probe`: zones/example.net.toml:9:42) (hint: remove one of the two)",
        ],
    );
    check_endpoint(
        "{region=\"b\",cname=\"b.example.com.\",probe=\"p\"}]\n[probes.s]\ntcp.port = 2\nshadow = true\n[hubs.\"i.example.net.\"]\nendpoints = [{region=\"b\",cname=\"c.example.com.\",probe=\"p\"}",
        &[
            "10:9: warning: probe `s` is defined, but no endpoint uses it (hint: name it as `shadow` of an endpoint, or remove it)",
        ],
    );
    check_endpoint(
        "{region=\"b\",cname=\"b.example.com.\",probe=\"p\",shadow=\"p\"}",
        &[
            "9:53: error: `shadow` is probe `p`, which is no shadow (hint: write `shadow = true` in `[probes.p]`, or name another probe)",
        ],
    );
    check_endpoint(
        "{region=\"b\",cname=\"b.example.com.\",probe=\"p\",shadow=\"q\"}",
        &["9:53: error: probe `q` is not defined (hint: did you mean \"p\"?)"],
    );
    check_endpoint(
        "{region=\"b\",records=[\"TXT x\"],shadow=\"s\"}]\n[probes.s]\ntcp.port = 2\nshadow = \"yes\"\n[hubs.\"i.example.net.\"]\nendpoints = [{region=\"b\",cname=\"c.example.com.\",probe=\"p\"}",
        &[
            "9:1: warning: the endpoint in `b` has no `probe`: its health stays unknown (hint: add `probe = \"p\"`)",
            "9:21: error: `records` has no address for the probe, expected `target` beside it (hint: add `target = \"HOST.\"`, the host that the probe dials)",
            "12:10: error: `shadow` is \"yes\", expected true or false (hint: write `true` or `false` without quotes)",
        ],
    );
}
