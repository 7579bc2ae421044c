//! `[references.NAME]`.

use super::*;

#[test]
fn keys() {
    check_reference("probe = \"q\"\ntarget = \"192.0.2.53\"", &[]);
    check_reference(
        "",
        &[
            "1:1: error: reference `r` has no `probe` (hint: add `probe = \"p\"`)",
            "1:1: error: reference `r` has no `target` (hint: add `target = \"192.0.2.53\"`, what the probe dials)",
            "3:9: warning: probe `q` is defined, but no endpoint uses it (hint: name it as `probe` of an endpoint, or remove it)",
        ],
    );
    check_reference(
        "probe = \"p\"",
        &[
            "1:1: error: reference `r` has no `target` (hint: add `target = \"192.0.2.53\"`, what the probe dials)",
            "3:9: warning: probe `q` is defined, but no endpoint uses it (hint: name it as `probe` of an endpoint, or remove it)",
        ],
    );
    check_reference(
        "probe = \"qq\"\ntarget = \"192.0.2.53\"",
        &["2:9: error: probe `qq` is not defined (hint: did you mean \"q\"?)"],
    );
    check_reference(
        "probe = \"q\"\ntarget = \"192.0.2.300\"\ninterval = \"1s\"",
        &[
            "3:10: error: `target` is \"192.0.2.300\", expected an IP address (hint: write such as \"192.0.2.1\" or \"2001:db8::1\")",
            "4:1: error: unknown key `interval`, expected one of `probe`, `target` (hint: remove it)",
        ],
    );
    check_reference(
        "probe = \"q\"\ntarget = \"resolver\"",
        &["3:10: error: `target` `resolver` is a relative name, expected an absolute one (hint: write \"resolver.\")"],
    );
    check_reference(
        "probe = \"q\"\ntarget = [\"192.0.2.53\", \"192.0.2.53\"]",
        &[
            "3:25: error: the address 192.0.2.53 is written twice (first here: zones/example.net.toml:3:11) (hint: remove one of the two)",
        ],
    );
    check(
        "references.r = \"192.0.2.53\"",
        &["1:16: error: `r` is \"192.0.2.53\", expected a table (hint: write a table: `[references.r]`)"],
    );
}

#[test]
fn what_a_reference_may_be() {
    check_reference(
        "probe = \"s\"\ntarget = \"192.0.2.53\"\n[probes.s]\ntcp.port = 1\nshadow = true",
        &[
            "2:9: error: `probe` is the shadow `s`, which decides nothing, also not what this node sees (hint: name another probe, such as \"p\")",
            "7:9: warning: probe `q` is defined, but no endpoint uses it (hint: name it as `probe` of an endpoint, or remove it)",
        ],
    );
    check_reference(
        "probe = \"q\"\ntarget = \"h.example.net.\"",
        &[
            "3:10: error: `target` of reference `r` is a hub, whose answer follows the active region (hint: write a host that is none of the fleet's, such as a resolver)",
        ],
    );
    check_reference(
        "probe = \"q\"\ntarget = \"a.example.com.\"",
        &[
            "3:10: warning: `target` of reference `r` is an endpoint in `a`: when that fails this node may take itself for blind (the endpoint: zones/example.net.toml:14:22) (hint: write a host that is none of the fleet's, such as a resolver)",
        ],
    );
    check_reference(
        "probe = \"q\"\ntarget = \"192.0.2.53\"\n[references.s]\nprobe = \"q\"\ntarget = \"192.0.2.53\"",
        &[
            "4:13: warning: reference `s` is the same as `r` (the other one: zones/example.net.toml:1:13) (hint: remove one of the two)",
        ],
    );
    check(
        "[references.r]\nprobe = \"p\"\ntarget = \"192.0.2.53\"\n[probes.p]\ntcp.port = 53",
        &[
            "1:13: warning: reference `r` is defined, but no endpoint is probed (hint: add `probe` to the endpoints, or remove the reference)",
        ],
    );
    check(
        "[references.r]\nprobe = \"p\"\ntarget = \"192.0.2.53\"\n[probes.p]\ntcp.port = 53\n[regions.a]\n[hubs.\"h.example.net.\"]\nendpoints = [{region=\"a\",cname=\"a.example.com.\",probe=\"pp\"}]",
        &["8:55: error: probe `pp` is not defined (hint: did you mean \"p\"?)"],
    );
    check(
        "[references.r]\nprobe = \"p\"\ntarget = \"192.0.2.53\"\n[probes.p]\ntcp.port = 53\n[regions.a]\n[hubs.\"h.example.net.\"]\nendpoints = [{region=\"a\",cname=\"a.example.com.\"}]",
        &[
            "1:13: warning: reference `r` is defined, but no endpoint is probed (hint: add `probe` to the endpoints, or remove the reference)",
            "8:14: warning: the endpoint in `a` has no `probe`: its health stays unknown (hint: add `probe = \"p\"`)",
        ],
    );
}

#[test]
fn a_reference_is_looked_at_as_often_as_a_region_is_found_down() {
    check_reference(
        "probe = \"p\"\ntarget = \"192.0.2.53\"\n[references.s]\nprobe = \"q\"\ntarget = \"192.0.2.54\"",
        &[],
    );
    check_reference(
        "probe = \"p\"\ntarget = \"192.0.2.53\"\n[references.s]\nprobe = \"slow\"\ntarget = \"192.0.2.54\"\n[probes.slow]\ntcp.port = 53\ninterval = \"1m\"\n[regions.c]\n[hubs.\"j.example.net.\"]\nendpoints = [{region=\"c\",cname=\"c.example.com.\",probe=\"q\"}]",
        &[
            "1:13: warning: reference `r` is looked at within 7s500ms (interval + 10 % 5s500ms + timeout 2s), but probe `q` may find a region down within 2s (2 * confirm 1s): a switch then waits for the reference (hint: give it a probe of its own with a shorter `interval` and `timeout`)",
        ],
    );
}
