//! Unknown types. Section 5, the text of unknown types, is read and written by the tests of `src/zone`; 2 is the
//! definition, 6 and 7 are of updates and signatures.

use super::row::ask;

#[test]
fn section_3_an_unknown_type_is_answered_as_it_stands() {
    ask("info.example.test. TYPE65400").is("NOERROR aa | info.example.test. 300 TYPE65400 \\# 4 01020304");
}

#[test]
fn section_3_an_unknown_type_is_missing_like_any_other() {
    ask("www.example.test. TYPE65400").is("NOERROR aa | - | SOA!");
    ask("no.mail.example.test. TYPE65401").is("NXDOMAIN aa | - | SOA!");
}

#[test]
fn section_3_an_unknown_type_of_a_name_in_another_case() {
    ask("INFO.example.test. TYPE65400").is("NOERROR aa | info.example.test. 300 TYPE65400 \\# 4 01020304");
}

#[test]
fn section_3_names_in_rdata_keep_their_case() {
    assert!(ask("rp.rfc.test. RP").told().ends_with(b"\x04Host\x03Rfc\x04Test\0\x03Txt\x03Rfc\x04Test\0"));
    ask("rp.rfc.test. RP").is("NOERROR aa | rp.rfc.test. 300 RP host.rfc.test. txt.rfc.test.");
}

#[test]
fn section_4_names_in_types_after_rfc_1035_are_not_compressed() {
    for (question, rdata) in [
        ("info.example.test. RP", &b"\x04host\x07example\x04test\0\x03txt\x07example\x04test\0"[..]),
        ("info.example.test. AFSDB", b"\0\x01\x03afs\x07example\x04test\0"),
        ("old.example.test. DNAME", b"\x03new\x07example\x04test\0"),
    ] {
        assert!(ask(question).told().ends_with(rdata), "{question}");
    }
    ask("info.example.test. AFSDB").is("NOERROR aa | info.example.test. 300 AFSDB 1 afs.example.test.");
    ask("old.example.test. DNAME").is("NOERROR aa | old.example.test. 300 DNAME new.example.test.");
}
