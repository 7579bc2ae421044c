//! Negative answers. Sections 5 to 7 are of caches.

use super::row::ask;

#[test]
fn section_2_1_name_error() {
    ask("missing.ent.example.test. A").is("NXDOMAIN aa | - | SOA!");
}

#[test]
fn section_2_1_name_error_at_the_end_of_a_chain() {
    ask("tomissing.example.test. AAAA")
        .is("NXDOMAIN aa | tomissing.example.test. 300 CNAME missing.ent.example.test. | SOA!");
}

#[test]
fn section_2_2_no_data() {
    ask("mail.example.test. AAAA").is("NOERROR aa | - | SOA!");
    ask("ent.example.test. A").is("NOERROR aa | - | SOA!");
}

#[test]
fn section_2_2_no_data_at_the_end_of_a_chain() {
    ask("tonodata.example.test. AAAA").is("NOERROR aa | tonodata.example.test. 300 CNAME mail.example.test. | SOA!");
}

#[test]
fn section_2_2_1_no_data_is_no_referral() {
    let told = ask("mail.example.test. AAAA").told();
    // AA, one authority record.
    assert_eq!((told[2] & 0x04, &told[6..10]), (0x04, &[0, 0, 0, 1][..]));
}

#[test]
fn section_3_the_soa_has_the_lesser_ttl() {
    // 3600 of its own, and a MINIMUM of 120.
    ask("no.mail.example.test. A").is("NXDOMAIN aa | - | SOA!");
    ask("no.child.example.test. A").is(
        "NXDOMAIN aa | - | child.example.test. 60 SOA ns.child.example.test. host.example.test. 1 7200 900 1209600 60",
    );
}
