//! A hub's recovery time objective against everything that takes time.

use super::*;

#[test]
fn what_a_switch_waits_for_counts() {
    check_moves("rto = \"51s500ms\"\nfence = { exec = { command = [\"/bin/true\"] }, timeout = \"10s\" }", &[]);
    check_moves(
        "rto = \"51s\"\nfence = { exec = { command = [\"/bin/true\"] }, timeout = \"10s\" }",
        &[
            "7:7: warning: an automatic switch may take 51s500ms from the failure to the last resolver, longer than the `rto` of 51s: probe `p` detects in interval + 10 % 5s500ms + timeout 2s + 2 * 2s (the longer of confirm + 10 % and timeout) = 11s500ms, the fence is waited for 10s, then `ttl` 30s (hint: write a shorter `ttl`, `timeout` of the fence, or a shorter `interval`, `timeout`, `confirm` or `fall` of the probe)",
        ],
    );
    check_moves(
        "rto = \"1m\"\ngates = [{gate=\"g\",on=\"both\",on_shut={proceed_after=\"1m\"}},{gate=\"g\",on=\"failover\",to=\"b\",on_shut={proceed_after=\"2m\"}}]",
        &[
            "7:7: warning: an automatic switch may take 2m41s500ms from the failure to the last resolver, longer than the `rto` of 1m: probe `p` detects in interval + 10 % 5s500ms + timeout 2s + 2 * 2s (the longer of confirm + 10 % and timeout) = 11s500ms, gate `g` passes after 2m, then `ttl` 30s (hint: write a shorter `ttl`, `proceed_after`, or a shorter `interval`, `timeout`, `confirm` or `fall` of the probe)",
        ],
    );
    check_moves(
        "rto = \"1m\"\ngates = [{gate=\"g\",on=\"failback\",on_shut={proceed_after=\"1m\"}},{gate=\"g\",on=\"failover\"}]",
        &[],
    );
    check_moves(
        "rto = \"1m\"\nttl_min = \"10s\"\ngates = [{gate=\"g\",on=\"failover\",on_shut={proceed_after=\"1m\"}}]\nfence = { exec = { command = [\"/bin/true\"] } }",
        &[
            "7:7: warning: an automatic switch may take 1m26s500ms from the failure to the last resolver, longer than the `rto` of 1m: probe `p` detects in interval + 10 % 5s500ms + timeout 2s + 2 * 2s (the longer of confirm + 10 % and timeout) = 11s500ms, gate `g` passes after 1m, the fence is waited for 5s, then `ttl_min` 10s (hint: write a shorter `ttl`, `proceed_after`, `timeout` of the fence, or a shorter `interval`, `timeout`, `confirm` or `fall` of the probe)",
        ],
    );
}

#[test]
fn an_answer_from_before_the_failure_is_kept_for_the_whole_ttl() {
    check_moves("rto = \"38s\"\nttl_min = \"5s\"", &[]);
    check_moves(
        "rto = \"37s\"\nttl_min = \"5s\"",
        &[
            "7:7: warning: an automatic switch may take 37s500ms from the failure to the last resolver, longer than the `rto` of 37s: probe `p` detects in interval + 10 % 5s500ms + timeout 2s + 2 * 2s (the longer of confirm + 10 % and timeout) = 11s500ms, but a resolver that asked just before the first failed observation, 7s500ms after the failure, keeps its answer for `ttl` 30s (hint: write a shorter `ttl`, or a shorter `interval`, `timeout`, `confirm` or `fall` of the probe)",
        ],
    );
}
