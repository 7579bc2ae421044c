//! One question in a query.

use super::row::ask;
use crate::differential::peers::Kind::Knot;

const TWO: &[u8] = b"\x03www\x07example\x04test\0\0\x01\0\x01\x04mail\x07example\x04test\0\0\x01\0\x01";

#[test]
fn section_4_two_questions_are_a_format_error() {
    ask("www.example.test. A").question(TWO).counts([2, 0, 0, 0]).but(Knot, "silence").is("FORMERR no-question");
}

#[test]
fn section_4_the_most_that_can_be_counted() {
    ask("www.example.test. A").counts([65_535, 0, 0, 0]).but(Knot, "silence").is("FORMERR no-question");
}

#[test]
fn appendix_a_1_no_question_is_a_format_error_but_for_cookies() {
    ask("www.example.test. A").question(b"").counts([0; 4]).is("FORMERR no-question");
}
