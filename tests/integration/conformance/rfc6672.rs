//! DNAME. Sections 3.4 and 5 are of resolvers and signers, 3.3 is of DNAME records at wildcards; 2.5, compression, is in
//! `rfc3597`.

use super::row::ask;
use crate::differential::peers::Kind::Knot;

const OLD: &str = "old.example.test. 300 DNAME new.example.test.";

#[test]
fn section_2_2_substitution() {
    ask("x.old.example.test. A").is(&format!(
        "NOERROR aa | {OLD}, x.old.example.test. 300 CNAME x.new.example.test., x.new.example.test. 300 A 192.0.2.61"
    ));
}

#[test]
fn section_2_2_too_long_a_name() {
    let label = "d".repeat(63);
    let target = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.\
                  bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.\
                  ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.new.example.test.";
    ask(&format!("{label}.toolong.example.test. A"))
        .but(Knot, "NXDOMAIN, where the RFC asks for YXDOMAIN")
        .is(&format!("YXDOMAIN aa | toolong.example.test. 300 DNAME {target}"));
}

#[test]
fn section_2_3_the_owner_itself_is_not_redirected() {
    ask("old.example.test. TXT").is("NOERROR aa | old.example.test. 300 TXT \"beside a DNAME\"");
    ask("old.example.test. A").is("NOERROR aa | - | SOA!");
    ask("old.example.test. DNAME").is(&format!("NOERROR aa | {OLD}"));
}

#[test]
fn section_2_4_names_below_a_dname_are_not_there() {
    ask("a.b.old.example.test. A")
        .is(&format!("NXDOMAIN aa | {OLD}, a.b.old.example.test. 300 CNAME a.b.new.example.test. | SOA!"));
}

#[test]
fn section_2_5_the_target_is_not_compressed() {
    let (told, target) = (ask("x.old.example.test. A").told(), b"\x03new\x07example\x04test\0");
    assert!(told.windows(target.len()).any(|octets| octets == target), "{told:02x?}");
}

#[test]
fn section_3_1_the_made_cname_has_the_ttl_of_the_dname() {
    ask("x.outward.example.test. A").is("NOERROR aa | outward.example.test. 300 DNAME dname.example.net., \
         x.outward.example.test. 300 CNAME x.dname.example.net.");
}

#[test]
fn section_3_2_step_3_c_the_substitution_begins_anew() {
    ask("x.dchain1.example.test. A").is("NOERROR aa | dchain1.example.test. 300 DNAME dchain2.example.test., \
         x.dchain1.example.test. 300 CNAME x.dchain2.example.test., \
         dchain2.example.test. 300 DNAME new.example.test., \
         x.dchain2.example.test. 300 CNAME x.new.example.test., x.new.example.test. 300 A 192.0.2.61");
    ask("y.old.example.test. A").is(&format!(
        "NOERROR aa | {OLD}, y.old.example.test. 300 CNAME y.new.example.test., \
         y.new.example.test. 300 CNAME x.new.example.test., x.new.example.test. 300 A 192.0.2.61"
    ));
}

#[test]
fn section_3_2_an_alias_into_a_dname() {
    ask("todname.example.test. A").is(&format!(
        "NOERROR aa | todname.example.test. 300 CNAME x.old.example.test., {OLD}, \
         x.old.example.test. 300 CNAME x.new.example.test., x.new.example.test. 300 A 192.0.2.61"
    ));
}

#[test]
fn section_3_1_the_made_cname_is_asked_for() {
    ask("x.old.example.test. CNAME")
        .is(&format!("NOERROR aa | {OLD}, x.old.example.test. 300 CNAME x.new.example.test."));
}

#[test]
fn section_3_2_step_3_c_a_wildcard_behind_it_counts() {
    ask("z.w.old.example.test. A").is(&format!(
        "NOERROR aa | {OLD}, z.w.old.example.test. 300 CNAME z.w.new.example.test., z.w.new.example.test. 300 A 192.0.2.62"
    ));
}
