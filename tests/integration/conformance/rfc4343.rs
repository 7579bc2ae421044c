//! Case. Section 5 is of internationalized names, which are letters of ASCII here.

use super::row::ask;

/// The question and the first owner as they came back.
fn echoed(question: &str) -> Vec<u8> {
    let row = ask(question);
    let (query, told) = (row.octets(), row.told());
    assert_eq!(query[12..], told[12..query.len()], "{question}");
    told[query.len()..query.len() + 2].to_vec()
}

#[test]
fn section_3_letters_are_equal_in_both_cases() {
    let www = "NOERROR aa | www.example.test. 300 A 192.0.2.80, www.example.test. 300 A 192.0.2.81";
    for name in ["www.example.test.", "WWW.EXAMPLE.TEST.", "wWw.eXaMpLe.TeSt."] {
        ask(&format!("{name} A")).is(www);
    }
}

#[test]
fn section_3_other_octets_are_not() {
    // 0xd7 and 0xf7 differ by the bit of letters.
    ask("\\215.mail.example.test. A").is("NXDOMAIN aa | - | SOA!");
    // So do `_`, which is behind the letters, and 0x7f.
    ask("under_score.ent.example.test. A").is("NOERROR aa | under_score.ent.example.test. 300 A 192.0.2.11");
    ask("under\\127score.ent.example.test. A").is("NXDOMAIN aa | - | SOA!");
}

#[test]
fn section_4_1_a_question_comes_back_as_it_was() {
    for question in ["wWw.ExAmPlE.tEsT. A", "A.wIlD.example.TEST. TXT", "nO.mail.EXAMPLE.test. A"] {
        // The owner is a pointer, so that it has the case of the question (or the zone's apex).
        assert_eq!(echoed(question)[0] & 0xc0, 0xc0, "{question}");
    }
}

#[test]
fn section_4_2_an_alias_in_another_case() {
    ask("C3.example.test. TXT").is(
        "NOERROR aa | c3.example.test. 300 CNAME www.example.test., www.example.test. 300 TXT \"MiXeD case owner\"",
    );
}
