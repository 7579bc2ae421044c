//! `[gates.NAME]`.

use super::*;

#[test]
fn kinds() {
    check_gate(
        "",
        &[
            "1:1: error: gate `g` has no kind, expected one of `http`, `exec`, `ack` (hint: add `http = { url = \"https://HOST/PATH\" }`, `exec = { command = [\"/PATH/TO/PROGRAM\"] }` or `ack = true`)",
        ],
    );
    check_gate(
        "ack = false",
        &[
            "2:7: error: `ack` is false, expected true, or another kind of gate (hint: write `ack = true`, or remove it)",
        ],
    );
    check_gate(
        "ack = \"yes\"",
        &["2:7: error: `ack` is \"yes\", expected true or false (hint: write `true` or `false` without quotes)"],
    );
    check_gate(
        "ack = false\ninterval = \"5s\"",
        &[
            "2:7: error: `ack` is false, expected true, or another kind of gate (hint: write `ack = true`, or remove it)",
        ],
    );
    check_gate(
        "ack = true\nexec.command = [\"/bin/true\"]",
        &["2:7: error: gate `g` has two kinds, `exec` and `ack`, expected exactly one (hint: remove one of the two)"],
    );
    check_gate(
        "registry = {}",
        &[
            "2:1: error: unknown kind of gate `registry`, expected one of `http`, `exec`, `ack` (hint: write one of these, such as `ack = true`)",
        ],
    );
    check_gate(
        "https = { url = \"https://a.example.net/\" }",
        &[
            "2:1: error: unknown kind of gate `https`, expected one of `http`, `exec`, `ack` (hint: did you mean `http`?)",
        ],
    );
    check_gate(
        "ack = true\nintervall = \"5s\"",
        &[
            "3:1: error: unknown key `intervall`, expected one of `http`, `exec`, `ack`, `interval`, `timeout`, `max_age` (hint: did you mean `interval`?)",
        ],
    );
    check_gate(
        "ack = true\ninterval = \"1m\"\ntimeout = \"5s\"\nmax_age = \"1s\"",
        &[
            "3:12: error: `interval` has no effect on an acknowledgement (hint: remove `interval`: it holds for one epoch, however long that is)",
            "4:11: error: `timeout` has no effect on an acknowledgement (hint: remove `timeout`: it holds for one epoch, however long that is)",
            "5:11: error: `max_age` has no effect on an acknowledgement (hint: remove `max_age`: it holds for one epoch, however long that is)",
        ],
    );
    check_gate(
        "http = \"https://a.example.net/\"",
        &[
            "2:8: error: `http` is \"https://a.example.net/\", expected a table (hint: write `http = { url = \"https://HOST/PATH\" }`)",
        ],
    );
    check_gate("http = {}", &["2:8: error: `http` has no `url` (hint: add `url = \"https://HOST/PATH\"`)"]);
    check_gate("exec = {}", &["2:8: error: `exec` has no `command` (hint: add `command = [\"/PATH/TO/PROGRAM\"]`)"]);
}

#[test]
fn times() {
    check_gate(
        "exec.command = [\"/bin/true\"]\ninterval = \"900ms\"\ntimeout = \"6m\"\nmax_age = \"2d\"",
        &[
            "3:12: error: `interval` is \"900ms\", expected 1s to 1h (hint: write at least \"1s\")",
            "4:11: error: `timeout` is \"6m\", expected 100ms to 5m (hint: write at most \"5m\")",
            "5:11: error: `max_age` is \"2d\", expected 1s to 1d (hint: write at most \"1d\")",
        ],
    );
    check_gate(
        "exec.command = [\"/bin/true\"]\ninterval = 30",
        &[
            "3:12: error: `interval` is the integer 30, expected a duration in d, h, m, s or ms (hint: write the unit, in quotes: \"30s\")",
        ],
    );
    check_gate(
        "exec.command = [\"/bin/true\"]\nmax_age = \"34s\"",
        &[
            "3:11: error: `max_age` is 34s, shorter than `interval` 30s and `timeout` 5s together: the gate would shut between two looks (hint: write at least \"35s\", or a shorter `interval`)",
        ],
    );
    check_gate("exec.command = [\"/bin/true\"]\nmax_age = \"35s\"", &[]);
    check_gate(
        "exec.command = [\"/bin/true\"]\ninterval = \"10s\"\ntimeout = \"1m\"\nmax_age = \"69s\"",
        &[
            "5:11: error: `max_age` is 1m9s, shorter than `interval` 10s and `timeout` 1m together: the gate would shut between two looks (hint: write at least \"1m10s\", or a shorter `interval`)",
        ],
    );
}

#[test]
fn commands() {
    check_gate(
        "exec.command = []",
        &[
            "2:16: error: `command` is empty, expected a program (hint: write such as `[\"/usr/local/bin/registry-check\", \"neu\"]`)",
        ],
    );
    check_gate(
        "exec.command = \"/usr/local/bin/registry-check neu\"",
        &[
            "2:16: error: `command` is \"/usr/local/bin/registry-check neu\", expected a list of a program and its arguments (hint: no shell is between: write `[\"/usr/local/bin/registry-check\", \"neu\"]`)",
        ],
    );
    check_gate(
        "exec.command = \"test $(cat lag) -lt 60\"",
        &[
            "2:16: error: `command` is \"test $(cat lag) -lt 60\", expected a list of a program and its arguments (hint: write such as `[\"/usr/local/bin/registry-check\", \"neu\"]`)",
        ],
    );
    check_gate(
        "exec.command = [\"\"]",
        &[
            "2:17: error: an entry of `command` is \"\", expected the path of a program (hint: write it in quotes, absolute or relative to this file's folder)",
        ],
    );
    check_gate(
        "exec.command = [\"/bin/true\", 5]",
        &[
            "2:30: error: an entry of `command` is the integer 5, expected a text of at most 2048 octets, without NUL (hint: write it in quotes)",
        ],
    );
    check_gate(
        "exec.command = [\"/bin/true\", \"a\\u0000b\"]",
        &[
            "2:30: error: an entry of `command` is \"a\\0b\", expected a text of at most 2048 octets, without NUL (hint: write a shorter text, or the path of a file that holds it)",
        ],
    );
    check_gate(
        "exec = { comand = [\"/bin/true\"] }",
        &["2:10: error: unknown key `comand`, expected `command` (hint: did you mean `command`?)"],
    );
    check_gate(
        "exec = { command = [\"/bin/true\"], shell = true }",
        &["2:35: error: unknown key `shell`, expected `command` (hint: remove it)"],
    );
}

#[test]
fn urls() {
    check_gate(
        "http.url = \"registry.example.net/neu\"",
        &[
            "2:12: error: `url` is \"registry.example.net/neu\", expected an http or https URL with a host (hint: write \"https://registry.example.net/neu\")",
        ],
    );
    check_gate(
        "http.url = \"/neu\"",
        &[
            "2:12: error: `url` is \"/neu\", expected an http or https URL with a host (hint: write such as \"https://registry.example.net/status\")",
        ],
    );
    check_gate(
        "http.url = \"ftp://registry.example.net/\"",
        &[
            "2:12: error: `url` is \"ftp://registry.example.net/\", expected an http or https URL with a host (hint: write such as \"https://registry.example.net/status\")",
        ],
    );
    check_gate(
        "http.url = \"HTTPS://registry.example.net/\"",
        &[
            "2:12: error: `url` is \"HTTPS://registry.example.net/\", expected an http or https URL with a host (hint: write \"https://registry.example.net/\")",
        ],
    );
    check_gate(
        "http.url = \"https://\"",
        &[
            "2:12: error: `url` is \"https://\", expected an http or https URL with a host (hint: write such as \"https://registry.example.net/status\")",
        ],
    );
    check_gate(
        "http.url = \"https://registry.example.net:0/\"",
        &[
            "2:12: error: `url` is \"https://registry.example.net:0/\", expected an http or https URL with a host (hint: write such as \"https://registry.example.net/status\")",
        ],
    );
    check_gate(
        "http.url = \"https://registry.example.net:70000/\"",
        &[
            "2:12: error: `url` is \"https://registry.example.net:70000/\", expected an http or https URL with a host (hint: write such as \"https://registry.example.net/status\")",
        ],
    );
    check_gate(
        "http.url = \"https://registry..example.net/\"",
        &[
            "2:12: error: `url` is \"https://registry..example.net/\", expected an http or https URL with a host (hint: write such as \"https://registry.example.net/status\")",
        ],
    );
    check_gate(
        "http.url = \"https://0.0.0.0/\"",
        &["2:12: error: `url` has the unspecified address 0.0.0.0 (hint: write the address of the service)"],
    );
    check_gate("http.url = \"https://[::1]:8443/\"", &[]);
    check_gate(
        "http.url = \"https://user:secret@registry.example.net/\"",
        &[
            "2:12: error: `url` has a user or password in it, which would be shown to everybody (hint: remove what is before the `@`)",
        ],
    );
    check_gate(
        "http.url = \"https://registry.example.net/#lag\"",
        &["2:12: error: `url` has a fragment, which no request carries (hint: remove it, from the `#` on)"],
    );
    check_gate(
        "http.url = \"https://registry.example.net/a b\"",
        &[
            "2:12: error: `url` is \"https://registry.example.net/a b\", expected an http or https URL with a host (hint: write such as \"https://registry.example.net/status\")",
        ],
    );
    check_gate(
        "http = { url = \"http://registry.example.net/\", ca = \"ca.pem\" }",
        &[
            "2:53: error: `ca` has no effect without TLS, expected a `url` that starts with https (hint: write `https` in the URL, or remove `ca`)",
        ],
    );
    check_gate(
        "http = { url = 5, ca = \"ca.pem\" }",
        &[
            "2:16: error: `url` is the integer 5, expected an http or https URL with a host (hint: write such as \"https://registry.example.net/status\")",
        ],
    );
    check_gate(
        "http = { url = \"https://a.example.net/\", status = 99 }",
        &[
            "2:51: error: `status` is the integer 99, expected a status code from 100 to 599, or a range of them (hint: write such as `200` or \"200-299\")",
        ],
    );
    check_gate(
        "http = { url = \"https://a.example.net/\", method = \"POST\" }",
        &[
            "2:42: error: unknown key `method`, expected one of `url`, `ca`, `status`, `pointer`, `equals`, `at_most`, `at_least` (hint: remove it)",
        ],
    );
}

#[test]
fn values() {
    check_gate(
        "http = { url = \"https://a.example.net/\", pointer = \"/lag\" }",
        &[
            "2:52: error: `pointer` has nothing that the value is compared with (hint: add one of `equals`, `at_most`, `at_least`)",
        ],
    );
    check_gate(
        "http = { url = \"https://a.example.net/\", at_most = 60 }",
        &[
            "2:52: error: `at_most` has no effect without `pointer` (hint: add `pointer = \"/KEY\"`, where in the JSON body the value stands)",
        ],
    );
    check_gate(
        "http = { url = \"https://a.example.net/\", pointer = \"/lag\", at_most = 60, at_least = 1 }",
        &[
            "2:85: error: the value is compared twice, by `at_most` and `at_least`, expected exactly one (hint: remove one, or make it a gate of its own)",
        ],
    );
    check_gate(
        "http = { url = \"https://a.example.net/\", pointer = \"/lag\", atmost = 60 }",
        &[
            "2:60: error: unknown key `atmost`, expected one of `url`, `ca`, `status`, `pointer`, `equals`, `at_most`, `at_least` (hint: did you mean `at_most`?)",
        ],
    );
    check_gate(
        "http = { url = \"https://a.example.net/\", pointr = \"/lag\", at_most = 60 }",
        &[
            "2:42: error: unknown key `pointr`, expected one of `url`, `ca`, `status`, `pointer`, `equals`, `at_most`, `at_least` (hint: did you mean `pointer`?)",
        ],
    );
    check_gate(
        "http = { url = \"https://a.example.net/\", pointer = \"lag\", at_most = \"60\" }",
        &[
            "2:52: error: `pointer` is \"lag\", expected a JSON pointer, which is empty or starts with `/` (hint: write \"/lag\")",
            "2:69: error: `at_most` is \"60\", expected a number (hint: write `60` without quotes)",
        ],
    );
    check_gate(
        "http = { url = \"https://a.example.net/\", pointer = \"#/lag\", at_least = nan }",
        &[
            "2:52: error: `pointer` is \"#/lag\", expected a JSON pointer, which is empty or starts with `/` (hint: write \"/lag\")",
            "2:72: error: `at_least` is the float nan, expected a number (hint: write such as `60` or `0.5`, without quotes)",
        ],
    );
    check_gate(
        "http = { url = \"https://a.example.net/\", pointer = \"$.lag.seconds\", at_least = inf }",
        &[
            "2:52: error: `pointer` is \"$.lag.seconds\", expected a JSON pointer, which is empty or starts with `/` (hint: write \"/lag/seconds\")",
            "2:80: error: `at_least` is the float inf, expected a number (hint: write such as `60` or `0.5`, without quotes)",
        ],
    );
    check_gate(
        "http = { url = \"https://a.example.net/\", pointer = \"/a~b\", equals = [1] }",
        &[
            "2:52: error: `pointer` is \"/a~b\", in which a `~` is followed by neither 0 nor 1 (hint: write `~0` for `~`, and `~1` for a `/` that is part of a key)",
            "2:69: error: `equals` is an array, expected a text, a number or a truth value (hint: write such as \"ready\", `0` or `true`)",
        ],
    );
    check_gate(
        "http = { url = \"https://a.example.net/\", pointer = \"/a~\", equals = 1979-05-27 }",
        &[
            "2:52: error: `pointer` is \"/a~\", in which a `~` is followed by neither 0 nor 1 (hint: write `~0` for `~`, and `~1` for a `/` that is part of a key)",
            "2:68: error: `equals` is the date-time 1979-05-27, expected a text, a number or a truth value (hint: write such as \"ready\", `0` or `true`)",
        ],
    );
    check_gate("http = { url = \"https://a.example.net/\", pointer = \"\", equals = 0x10 }", &[]);
    check_gate(
        "http = { url = \"https://a.example.net/\", pointer = \"/~0~1\", equals = 9223372036854775808 }",
        &[
            "2:70: error: `equals` is the integer 9223372036854775808, expected a text, a number or a truth value (hint: write such as \"ready\", `0` or `true`)",
        ],
    );
    check_gate(
        "http = { url = \"https://a.example.net/\", pointer = 5, equals = \"\" }",
        &[
            "2:52: error: `pointer` is the integer 5, expected a JSON pointer, which is empty or starts with `/` (hint: write such as \"/lag_seconds\" or \"/regions/0/lag\")",
        ],
    );
}

#[test]
fn names() {
    check(
        "[gates.\"Registry\"]\nack = true",
        &[
            "1:8: error: `Registry` is not the name of a gate, expected 1 to 63 of a-z, 0-9, `-` and `_`, a letter or digit first (hint: write `registry`)",
            "1:8: warning: gate `Registry` is defined, but no hub and no rule uses it (hint: name it in `gates` of a hub, or remove it)",
        ],
    );
    check_moves(
        "gates = [{gate=\"gg\",on=\"both\"}]",
        &["7:16: error: gate `gg` is not defined (hint: did you mean \"g\"?)"],
    );
    check_hub(
        &format!("gates = [{{gate=\"window\",on=\"both\"}}]\n{GOOD}"),
        &["7:16: error: gate `window` is not defined (hint: add `[gates.window]`)"],
    );
    check(
        "[gates]\na = 5\nb = { ack = true }",
        &[
            "2:1: warning: gate `a` is defined, but no hub and no rule uses it (hint: name it in `gates` of a hub, or remove it)",
            "2:5: error: `a` is the integer 5, expected a table (hint: write a table: `[gates.a]`)",
            "3:1: warning: gate `b` is defined, but no hub and no rule uses it (hint: name it in `gates` of a hub, or remove it)",
        ],
    );
    check(
        "[references.A]\n[rules.B]\n[references]\n",
        &[
            "1:1: error: reference `A` has no `probe` (hint: add `probe = \"NAME\"`)",
            "1:1: error: reference `A` has no `target` (hint: add `target = \"192.0.2.53\"`, what the probe dials)",
            "1:13: error: `A` is not the name of a reference, expected 1 to 63 of a-z, 0-9, `-` and `_`, a letter or digit first (hint: write `a`)",
            "2:1: error: rule `B` has no demand, expected one of `at_least`, `at_most`, `gate` (hint: add `at_least = 1` or `at_most = 1` with `of`, or `gate = \"NAME\"` with `hubs` or `regions`)",
            "2:8: error: `B` is not the name of a rule, expected 1 to 63 of a-z, 0-9, `-` and `_`, a letter or digit first (hint: write `b`)",
        ],
    );
}
