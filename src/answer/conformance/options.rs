//! Options of OPT records but for cookies and client subnets, and what the server says of itself.

use super::*;
use crate::answer::Identity;
use crate::answer::respond::{Rules, Terms};
use crate::answer::testing::{client, option, options_of, send_by};

const NSID: u16 = 3;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;
const EXTENDED: u16 = 15;

fn rules() -> Rules {
    Rules { nsid: b"ns1-weu".as_slice().into(), idle: 100, ..Rules::sized(1232) }
}

/// The response and its options.
fn told(rules: &Rules, query: &Ask, transport: Transport) -> (Vec<u8>, Vec<(u16, Vec<u8>)>) {
    let terms = Terms::new(rules, None);
    let response = send_by(&terms, client("192.0.2.1"), &world(), &query.octets(), transport);
    let options = options_of(&response).unwrap_or_default();
    (response, options)
}

/// A query with these options.
fn with(question: &str, options: &[u8]) -> Ask {
    Ask::new(question).opt(1232, 0, false, options)
}

mod rfc5001 {
    use super::*;

    #[test]
    fn section_2_2_who_asks_is_told_whatever_is_in_the_option() {
        for data in [&b""[..], b"anything"] {
            let (_, options) = told(&rules(), &with("www.example. TXT", &option(NSID, data)), Transport::Udp);
            assert_eq!(options, [(NSID, b"ns1-weu".to_vec())]);
        }
        for question in ["nothing.example. A", "nowhere. A"] {
            let (_, options) = told(&rules(), &with(question, &option(NSID, b"")), Transport::Tcp);
            assert_eq!(options[0], (NSID, b"ns1-weu".to_vec()), "{question}");
        }
    }

    #[test]
    fn section_2_2_nobody_else_is() {
        assert_eq!(told(&rules(), &with("www.example. TXT", b""), Transport::Udp).1, []);
        let silent = Rules::sized(1232);
        assert_eq!(told(&silent, &with("www.example. TXT", &option(NSID, b"")), Transport::Udp).1, []);
    }
}

mod rfc7828 {
    use super::*;

    #[test]
    fn section_3_3_2_the_idle_time_in_tenths_of_a_second() {
        for transport in [Transport::Tcp, Transport::Encrypted] {
            let (_, options) = told(&rules(), &with("www.example. TXT", &option(KEEPALIVE, b"")), transport);
            assert_eq!(options, [(KEEPALIVE, vec![0, 100])], "{transport:?}");
        }
    }

    #[test]
    fn section_3_2_1_a_timeout_of_the_clients_is_a_format_error() {
        for data in [&[0, 100][..], &[0], &[0, 0, 100]] {
            let (response, options) =
                told(&rules(), &with("www.example. TXT", &option(KEEPALIVE, data)), Transport::Tcp);
            assert_eq!((show(&response).as_str(), options), ("FORMERR", vec![]), "{data:?}");
        }
    }

    #[test]
    fn section_3_3_1_over_udp_it_is_ignored_whatever_it_is() {
        for data in [&b""[..], &[0, 100]] {
            let (response, options) =
                told(&rules(), &with("www.example. TXT", &option(KEEPALIVE, data)), Transport::Udp);
            assert!(show(&response).starts_with("NOERROR aa"), "{data:?}");
            assert_eq!(options, [], "{data:?}");
        }
    }
}

mod rfc7830 {
    use super::*;

    #[test]
    fn section_6_responses_are_padded_where_nobody_can_read_them_and_the_query_is() {
        let padded = with("www.example. TXT", &option(PADDING, &[0; 40]));
        for transport in [Transport::Udp, Transport::Tcp] {
            assert_eq!(told(&rules(), &padded, transport).1, [], "{transport:?}");
        }
        assert_eq!(told(&rules(), &with("www.example. TXT", b""), Transport::Encrypted).1, []);
        let (_, options) = told(&rules(), &padded, Transport::Encrypted);
        assert!(matches!(&*options, [(PADDING, zeros)] if zeros.iter().all(|zero| *zero == 0)), "{options:?}");
    }
}

mod rfc8467 {
    use super::*;

    #[test]
    fn section_4_1_to_a_multiple_of_468_octets() {
        // Every length of a text around the ends of blocks.
        for length in (1..255).chain([300, 390, 391, 392, 393, 394, 395, 396, 397, 398, 399, 400, 401, 402, 403]) {
            let text: String = (0..length).map(|at| if at % 200 == 199 { ' ' } else { 'x' }).collect();
            let long = snapshot(&[zone("example.", &format!("t TXT {text}"))], vec![]);
            let rules = rules();
            let query = with("t.example. TXT", &option(PADDING, &[])).octets();
            let response = send_by(&Terms::new(&rules, None), client("192.0.2.1"), &long, &query, Transport::Encrypted);
            assert_eq!(response.len() % 468, 0, "{length}");
            let plain = send_by(&Terms::new(&rules, None), client("192.0.2.1"), &long, &query, Transport::Tcp);
            assert_eq!(response.len(), (plain.len() + 4).next_multiple_of(468), "{length}");
        }
    }

    #[test]
    fn section_4_1_other_options_are_within_the_block() {
        let options = [option(PADDING, &[]), option(NSID, b""), option(KEEPALIVE, b"")].concat();
        let (response, options) = told(&rules(), &with("nowhere. A", &options), Transport::Encrypted);
        assert_eq!(response.len(), 468);
        let codes: Vec<u16> = options.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [NSID, KEEPALIVE, EXTENDED, PADDING], "padding is the last");
    }
}

mod rfc8914 {
    use super::*;

    /// The INFO-CODE and the text.
    fn code(query: &Ask) -> Option<(u16, Vec<u8>)> {
        let (_, options) = told(&rules(), query, Transport::Udp);
        let (_, data) = options.into_iter().find(|(code, _)| *code == EXTENDED)?;
        Some((u16::from_be_bytes([data[0], data[1]]), data[2..].to_vec()))
    }

    #[test]
    fn section_4_21_a_name_of_no_zone_here() {
        assert_eq!(code(&with("nowhere. A", b"")), Some((20, vec![])));
        assert_eq!(code(&with("www.example. A", b"")), None);
        assert_eq!(code(&with("nothing.example. A", b"")), None);
    }

    #[test]
    fn section_4_21_a_class_that_is_not_served() {
        let mut query = with("www.example. A", b"");
        let at = query.question.len() - 1;
        query.question[at] = 4;
        assert_eq!(code(&query), Some((20, vec![])));
    }

    #[test]
    fn section_4_19_a_transfer_is_for_nobody() {
        assert_eq!(code(&with("example. AXFR", b"")), Some((18, vec![])));
    }

    #[test]
    fn section_4_22_an_opcode_that_is_not_supported() {
        let mut query = with("example. SOA", b"");
        query.flags[0] |= 4 << 3;
        assert_eq!(code(&query), Some((21, vec![])));
    }

    /// Every endpoint is down, and the hub answers with what was chosen last: the text is that of `_concierge.HUB`, which a
    /// hub that has none does not say.
    #[test]
    fn section_4_4_a_stale_answer_says_so_and_which_it_is() {
        let mut telling = hub("a.example.", "weu 192.0.2.1\nneu 192.0.2.2");
        telling.txt = true;
        let hubs = vec![telling, hub("b.example.", "weu 192.0.2.3"), hub("c.example.", "weu 192.0.2.4")];
        let fresh = snapshot(&[zone("example.", "to CNAME a")], hubs);
        let mut choices = fresh.choices.clone();
        (choices[0].stale, choices[1].stale) = (true, true);
        let stale = fresh.switch(choices).unwrap();
        let rules = rules();
        let code = |served: &Snapshot, question: &str, size: u16| {
            let query = Ask::new(question).opt(size, 0, false, b"").octets();
            let response = send_by(&Terms::new(&rules, None), client("192.0.2.1"), served, &query, Transport::Udp);
            assert!(show(&response).starts_with("NOERROR aa"), "{question}");
            let data = options_of(&response).unwrap().pop();
            data.map(|(code, data)| (code, data[1], String::from_utf8(data[2..].to_vec()).unwrap()))
        };
        let said = Some((EXTENDED, 3, "region=weu epoch=0 since=1970-01-01T00:00:00Z".to_owned()));
        assert_eq!(code(&stale, "a.example. A", 1232), said);
        assert_eq!(code(&stale, "to.example. A", 1232), said, "at the end of a chain");
        assert_eq!(code(&stale, "b.example. A", 1232), Some((EXTENDED, 3, String::new())));
        assert_eq!(code(&stale, "c.example. A", 1232), None, "another hub");
        assert_eq!(code(&stale, "a.example. AAAA", 1232), None, "no answer of the hub");
        for question in ["a.example. A", "to.example. A", "b.example. A"] {
            assert_eq!(code(&fresh, question, 1232), None, "{question}");
        }
    }

    #[test]
    fn section_2_without_opt_there_is_no_place_for_it() {
        let (response, _) = told(&rules(), &Ask::new("nowhere. A"), Transport::Udp);
        assert_eq!((show(&response).as_str(), options_of(&response)), ("REFUSED", None));
    }

    #[test]
    fn section_3_what_does_not_fit_is_left_out_before_anything_else() {
        // A question that leaves room for the OPT record and for less than six octets.
        let label = "a".repeat(60);
        let name = format!("{label}.{label}.{label}.{label}.");
        let long = Rules { nsid: vec![b'n'; 215].into(), ..Rules::sized(512) };
        let room = |nsid: usize| {
            let rules = Rules { nsid: vec![b'n'; nsid].into(), ..long.clone() };
            let query = Ask::new(&format!("{name} A")).opt(512, 0, false, &option(NSID, b""));
            let (response, options) = told(&rules, &query, Transport::Udp);
            assert!(response.len() <= 512);
            options.iter().map(|(code, _)| *code).collect::<Vec<_>>()
        };
        // 12 + 245 + 4 + 11 + 4 are not the NSID's.
        assert_eq!(room(512 - 276 - 6), [NSID, EXTENDED]);
        assert_eq!(room(512 - 276 - 5), [NSID]);
    }
}

mod rfc6891 {
    use super::*;

    #[test]
    fn section_6_1_2_unknown_options_are_ignored() {
        let many: Vec<u8> = (20..60).flat_map(|code| option(code, &[code as u8; 5])).collect();
        for transport in [Transport::Udp, Transport::Tcp, Transport::Encrypted] {
            for options in [&many[..], &option(65_001, b""), &option(0, b"x"), &option(15, &[0, 1])] {
                let (response, options) = told(&rules(), &with("www.example. TXT", options), transport);
                assert_eq!(show(&response), "NOERROR aa | www.example. 300 TXT hello");
                assert_eq!(options, []);
            }
        }
    }

    /// How options of another version look is not known, so none is answered.
    #[test]
    fn section_6_1_3_badvers_has_version_0_and_no_option() {
        let query = Ask::new("www.example. TXT").opt(1232, 1, false, &option(NSID, b""));
        let (response, options) = told(&rules(), &query, Transport::Tcp);
        assert_eq!((show(&response).as_str(), options), ("BADVERS", vec![]));
        assert_eq!(response[response.len() - 11..], [0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0]);
    }
}

mod rfc4892 {
    use super::*;

    fn asked(rules: &Rules, question: &str) -> String {
        let mut query = Ask::new(question);
        let at = query.question.len() - 1;
        query.question[at] = 3;
        let (response, _) = told(rules, &query, Transport::Udp);
        show(&response).replace(" CH ", " ")
    }

    #[test]
    fn section_3_what_is_configured_is_said_in_class_chaos() {
        let said = |text: &str| text.as_bytes().into();
        let identity = Identity { version: said("concierge"), hostname: said("host1"), id: said("ns1") };
        let rules = Rules { identity, ..rules() };
        assert_eq!(asked(&rules, "version.bind. TXT"), "NOERROR | version.bind. 0 TXT concierge");
        assert_eq!(asked(&rules, "VERSION.Server. TXT"), "NOERROR | VERSION.Server. 0 TXT concierge");
        assert_eq!(asked(&rules, "hostname.bind. ANY"), "NOERROR | hostname.bind. 0 TXT host1");
        assert_eq!(asked(&rules, "id.server. TXT"), "NOERROR | id.server. 0 TXT ns1");
        assert_eq!(asked(&rules, "id.server. A"), "REFUSED");
        assert_eq!(asked(&rules, "authors.bind. TXT"), "REFUSED");
        assert_eq!(asked(&rules, "www.example. TXT"), "REFUSED");
        assert_eq!(ask(&world(), &Ask::new("id.server. TXT")), "REFUSED", "of class IN it is a name like any other");
    }

    #[test]
    fn section_3_what_is_not_is_refused() {
        for question in ["version.bind. TXT", "version.server. TXT", "hostname.bind. TXT", "id.server. TXT"] {
            assert_eq!(asked(&rules(), question), "REFUSED", "{question}");
        }
    }
}

mod rfc8482 {
    use super::*;

    /// One RRset, and never an alias followed: as small an answer as there is (section 4.1).
    #[test]
    fn section_4_1_any_is_one_rrset() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let (response, _) = told(&rules(), &Ask::new("example. ANY"), transport);
            let types = |response: &[u8]| {
                let shown = show(response);
                let answer = shown.split(" | ").nth(1).unwrap().to_owned();
                answer.split(", ").map(|record| record.split(' ').nth(2).unwrap().to_owned()).collect::<Vec<_>>()
            };
            let mut types = types(&response);
            types.dedup();
            assert_eq!(types.len(), 1, "{types:?}");
        }
        check("alias.example. ANY", "NOERROR aa | alias.example. 300 CNAME www.example.");
        check("nothing.example. ANY", "NXDOMAIN aa | - | SOA!");
    }
}

mod rfc4343 {
    use super::*;

    /// Letters of ASCII alone are equal in both cases, and the question comes back as it was (section 4.1).
    #[test]
    fn section_3_case_is_no_difference_and_is_kept() {
        let question = "wWw.ExAmPlE. TXT";
        let (response, _) = told(&rules(), &Ask::new(question), Transport::Udp);
        assert!(response[12..].starts_with(&Ask::new(question).question));
        assert_eq!(show(&response), "NOERROR aa | wWw.ExAmPlE. 300 TXT hello");
        // 0xd7 and 0xf7 differ by the bit of letters and are none.
        let octets = |octet: u8| {
            let mut query = Ask::new("x.example. TXT");
            query.question[1] = octet;
            query
        };
        let zone = zone("example.", "x TXT one");
        let served = snapshot(&[zone], vec![]);
        assert!(show(&send(&served, &octets(b'X').octets(), Transport::Udp)).starts_with("NOERROR aa | "));
        assert!(show(&send(&served, &octets(b'x' ^ 0xa0).octets(), Transport::Udp)).starts_with("NXDOMAIN"));
    }
}
