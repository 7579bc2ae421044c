//! NXDOMAIN is of all that is below a name: a server must not say it of a name with something below it.

use super::row::ask;

#[test]
fn section_2_below_a_name_error_there_are_name_errors() {
    for name in ["no.mail", "a.no.mail", "b.a.no.mail"] {
        ask(&format!("{name}.example.test. A")).is("NXDOMAIN aa | - | SOA!");
    }
}

#[test]
fn section_3_1_a_name_with_nothing_but_a_cut_below_it() {
    ask("deep.del.egated.example.test. A")
        .is("NOERROR | - | deep.del.egated.example.test. 300 NS ns.deep.del.egated.example.test. | \
         ns.deep.del.egated.example.test. 300 A 192.0.2.33");
    ask("del.egated.example.test. A").is("NOERROR aa | - | SOA!");
}

#[test]
fn section_3_1_an_empty_non_terminal_is_no_name_error() {
    for name in ["ent", "c.ent", "b.c.ent", "wild", "sub.*.wild", "egated"] {
        for rtype in ["A", "TXT", "NS", "TYPE65401"] {
            ask(&format!("{name}.example.test. {rtype}")).is("NOERROR aa | - | SOA!");
        }
    }
}
