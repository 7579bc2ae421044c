//! `[rules.NAME]`.

use super::*;

#[test]
fn demands() {
    check_rule(
        "",
        &[
            "1:1: error: rule `r` has no demand, expected one of `at_least`, `at_most`, `gate` (hint: add `at_least = 1` or `at_most = 1` with `of`, or `gate = \"NAME\"` with `hubs` or `regions`)",
        ],
    );
    check_rule(
        "at_least = 1\nat_most = 1\nof = [\"h.example.net./a\", \"i.example.net./a\"]",
        &[
            "3:11: error: rule `r` has two demands, `at_least` and `at_most`, expected exactly one (hint: remove one, or make it a rule of its own)",
        ],
    );
    check_rule(
        "at_least = 1\ngate = \"g\"\nof = [\"h.example.net./a\", \"i.example.net./a\"]",
        &[
            "3:8: error: rule `r` has two demands, `at_least` and `gate`, expected exactly one (hint: remove one, or make it a rule of its own)",
        ],
    );
    check_rule(
        "at_least = 1",
        &[
            "1:1: error: rule `r` has no `of` (hint: add `of = [\"hub.example.net./westeurope\"]`, the endpoints that are counted)",
        ],
    );
    check_rule(
        "at_lest = 1\nof = [\"h.example.net./a\", \"i.example.net./a\"]",
        &[
            "2:1: error: unknown key `at_lest`, expected one of `at_least`, `at_most`, `gate`, `of`, `hubs`, `regions` (hint: did you mean `at_least`?)",
        ],
    );
    check_rule(
        "at_most = 1\nof = [\"h.example.net./a\", \"i.example.net./a\"]\nhubs = [\"h.example.net.\"]",
        &["4:8: error: `hubs` has no effect with `at_most` (hint: write `of`, a list of endpoints)"],
    );
    check_rule(
        "at_least = 1.5\nof = [\"h.example.net./a\", \"i.example.net./a\"]",
        &[
            "2:12: error: `at_least` is the float 1.5, expected a whole number from 0 to 4096 (hint: write a number in the range, such as `0`)",
        ],
    );
    check_rule(
        "at_least = -1\nof = []",
        &[
            "2:12: error: `at_least` is the integer -1, expected a whole number from 0 to 4096 (hint: write a number in the range, such as `0`)",
            "3:6: error: `of` is empty, expected at least one entry (hint: write such as `[\"hub.example.net./westeurope\"]`)",
        ],
    );
    check_rule(
        "at_least = 1\nof = \"h.example.net./a\"",
        &[
            "3:6: error: `of` is \"h.example.net./a\", expected a list of endpoints (hint: write such as `[\"hub.example.net./westeurope\"]`)",
        ],
    );
    check("rules.r = 5", &["1:11: error: `r` is the integer 5, expected a table (hint: write a table: `[rules.r]`)"]);
}

#[test]
fn endpoints_that_are_counted() {
    check_rule(
        "at_least = 1\nof = [\"h.example.net./a\", \"j.example.net./a\"]",
        &["3:27: error: hub `j.example.net.` is not defined (hint: did you mean `h.example.net.`?)"],
    );
    check_rule(
        "at_least = 1\nof = [\"h.example.net./c\", \"i.example.net./west\"]",
        &[
            "3:7: error: hub `h.example.net.` has no endpoint in `c` (hint: did you mean \"h.example.net./a\"?)",
            "3:27: error: hub `i.example.net.` has no endpoint in `west` (hint: write one of `i.example.net./a`, `i.example.net./b`)",
        ],
    );
    check_rule(
        "at_least = 1\nof = [\"h.example.net/a\", \"h.example.net.\", \"/a\", 5]",
        &[
            "3:7: error: hub `h.example.net` is a relative name, expected an absolute one (hint: write \"h.example.net./a\")",
            "3:26: error: an entry of `of` is \"h.example.net.\", expected an endpoint as HUB/REGION (hint: write such as \"hub.example.net./westeurope\")",
            "3:44: error: an entry of `of` is \"/a\", expected an endpoint as HUB/REGION (hint: write such as \"hub.example.net./westeurope\")",
            "3:50: error: an entry of `of` is the integer 5, expected an endpoint as HUB/REGION (hint: write such as \"hub.example.net./westeurope\")",
        ],
    );
    check_rule(
        "at_least = 1\nof = [\"h.example.net./a\", \"i.example.net./a\", \"H.example.net./a\"]",
        &[
            "3:47: error: `H.example.net./a` is written twice in `of` (first here: zones/example.net.toml:3:7) (hint: remove one of the two)",
        ],
    );
    check_rule(
        "at_least = 1\nof = [\"mail.example.org./a\"]",
        &["3:7: error: hub `mail.example.org.` is not defined (hint: add `[hubs.\"mail.example.org.\"]`)"],
    );
}

#[test]
fn a_rule_holds_neither_always_nor_never() {
    check_rule(
        "at_least = 0\nof = [\"h.example.net./a\", \"i.example.net./a\"]",
        &[
            "2:12: error: rule `r` always holds: `at_least` is 0, and of these endpoints at most 2 can be active at once, one a hub (hint: write 1 to 2)",
        ],
    );
    check_rule(
        "at_least = 3\nof = [\"h.example.net./a\", \"i.example.net./a\"]",
        &[
            "2:12: error: rule `r` never holds: `at_least` is 3, and of these endpoints at most 2 can be active at once, one a hub (hint: write 1 to 2)",
        ],
    );
    check_rule(
        "at_most = 2\nof = [\"h.example.net./a\", \"i.example.net./a\"]",
        &[
            "2:11: error: rule `r` always holds: `at_most` is 2, and of these endpoints at most 2 can be active at once, one a hub (hint: write 0 to 1)",
        ],
    );
    check_rule("at_most = 0\nof = [\"h.example.net./a\", \"i.example.net./a\"]", &[]);
    check_rule(
        "at_least = 2\nof = [\"h.example.net./a\", \"h.example.net./b\"]",
        &[
            "2:12: error: rule `r` never holds: `at_least` is 2, and of these endpoints exactly 1 can be active at once, one a hub (hint: list endpoints of other hubs, or not all of a hub's, or remove the rule)",
        ],
    );
    check_rule(
        "at_least = 1\nof = [\"h.example.net./a\", \"h.example.net./b\", \"i.example.net./b\"]",
        &[
            "2:12: error: rule `r` always holds: `at_least` is 1, and of these endpoints 1 to 2 can be active at once, one a hub (hint: write 2)",
        ],
    );
    check_rule(
        "at_most = 0\nof = [\"h.example.net./a\", \"h.example.net./b\", \"i.example.net./b\"]",
        &[
            "2:11: error: rule `r` never holds: `at_most` is 0, and of these endpoints 1 to 2 can be active at once, one a hub (hint: write 1)",
        ],
    );
    check_rule("at_most = 1\nof = [\"h.example.net./a\", \"h.example.net./b\", \"i.example.net./b\"]", &[]);
}

#[test]
fn a_rule_that_locks_a_hub_says_so() {
    check_rule(
        "at_least = 2\nof = [\"h.example.net./a\", \"i.example.net./a\"]",
        &[
            "1:8: warning: rule `r` lets hub `h.example.net.` never leave `a` without `--break-glass` (1 more hub is held likewise) (hint: write a smaller `at_least`, or count more endpoints)",
        ],
    );
    check_rule(
        "at_least = 2\nof = [\"h.example.net./a\", \"h.example.net./b\", \"i.example.net./b\"]",
        &[
            "1:8: warning: rule `r` lets hub `i.example.net.` never leave `b` without `--break-glass` (hint: write a smaller `at_least`, or count more endpoints)",
        ],
    );
    check_rule("at_least = 1\nof = [\"h.example.net./a\", \"i.example.net./a\"]", &[]);
}

#[test]
fn gates() {
    check_rule(
        "gate = \"g\"",
        &[
            "1:1: error: rule `r` has neither `hubs` nor `regions`, expected what the gate is for (hint: add `hubs = [\"hub.example.net.\"]` or `regions = [\"westeurope\"]`)",
        ],
    );
    check_rule(
        "gate = \"gg\"\nhubs = [\"h.example.net.\"]",
        &["2:8: error: gate `gg` is not defined (hint: did you mean \"g\"?)"],
    );
    check_rule(
        "gate = \"g\"\nhubs = [\"h.example.net.\", \"x.example.net.\", \"i.example.net\", \"H.example.net.\"]",
        &[
            "3:27: error: hub `x.example.net.` is not defined (hint: did you mean `h.example.net.`?)",
            "3:45: error: an entry of `hubs` `i.example.net` is a relative name, expected an absolute one (hint: write \"i.example.net.\")",
            "3:62: error: `H.example.net.` is written twice in `hubs` (first here: zones/example.net.toml:3:9) (hint: remove one of the two)",
        ],
    );
    check_rule(
        "gate = \"g\"\nhubs = [\"mail.example.org.\"]\nregions = [\"c\"]",
        &[
            "3:9: error: hub `mail.example.org.` is not defined (hint: add `[hubs.\"mail.example.org.\"]`)",
            "4:12: error: region `c` is not defined (hint: did you mean \"a\"?)",
        ],
    );
    check_rule(
        "gate = \"g\"\nregions = [\"a\", \"a\"]",
        &[
            "3:17: error: `a` is written twice in `regions` (first here: zones/example.net.toml:3:12) (hint: remove one of the two)",
        ],
    );
    check_rule(
        "gate = \"g\"\nregions = []\nof = [\"h.example.net./a\"]",
        &[
            "3:11: error: `regions` is empty, expected at least one entry (hint: write such as `[\"westeurope\"]`)",
            "4:6: error: `of` has no effect with `gate` (hint: write `hubs` or `regions`)",
        ],
    );
    check_rule(
        "gate = \"g\"\nregions = [\"c\"]\n[regions.c]",
        &[
            "3:11: warning: rule `r` is for region `c`, in which no hub has an endpoint (hint: remove it, or add an endpoint)",
        ],
    );
}
