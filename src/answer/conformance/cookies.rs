//! Cookies: RFC 7873 and RFC 9018.

use std::sync::Arc;

use arc_swap::Guard;

use super::*;
use crate::answer::client::Client;
use crate::answer::cookie::{Cookie, Jar, MOST_SECRETS, Secret, Secrets};
use crate::answer::respond::{Amplification, Outcome, Rules, Terms, respond};
use crate::answer::testing::{client, hex, option, options_of};

const COOKIE: u16 = 10;

/// Of RFC 9018 A.1 to A.3, and of A.4 before the rollover and after it.
const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const OLD: &str = "dd3bdf9344b678b185a6f5cb60fca715";
const NEW: &str = "445536bcd2513298075a5d379663c962";

/// A server with these secrets at this time.
struct At {
    secrets: &'static str,
    now: u32,
    rules: Rules,
}

/// What came of a query.
struct Told {
    shown: String,
    worth: Cookie,
    /// The COOKIE option of the response, in hexadecimal.
    cookie: Option<String>,
}

fn at(secrets: &'static str, now: u32) -> At {
    At { secrets, now, rules: Rules::sized(1232) }
}

impl At {
    fn demanding(self) -> Self {
        Self { rules: Rules { cookies_required: true, ..self.rules }, ..self }
    }

    fn send(&self, from: Client, query: &[u8], transport: Transport) -> Told {
        let (secrets, now) = (Arc::new(Secrets::read(self.secrets).unwrap()), self.now);
        let jars = move || Jar { secrets: Guard::from_inner(secrets.clone()), now };
        let terms = Terms::new(&self.rules, Some(&jars));
        let mut response = Vec::new();
        let outcome = respond(&world(), query, from, transport, &terms, &mut response);
        let Outcome::Reply { cookie: worth, .. } = outcome else { panic!("silence") };
        let options = options_of(&response).unwrap_or_default();
        let cookie = options.iter().find(|(code, _)| *code == COOKIE);
        let cookie = cookie.map(|(_, data)| data.iter().map(|octet| format!("{octet:02x}")).collect());
        Told { shown: show(&response), worth, cookie }
    }

    /// A query for `www.example.` with this cookie, over UDP.
    fn tell(&self, from: &str, cookie: &str) -> Told {
        let query = Ask::new("www.example. TXT").opt(1232, 0, false, &option(COOKIE, &hex(cookie))).octets();
        self.send(client(from), &query, Transport::Udp)
    }

    #[track_caller]
    fn check(&self, from: &str, cookie: &str, worth: Cookie, expected: &str) {
        let told = self.tell(from, cookie);
        assert_eq!(told.worth, worth, "{cookie}");
        assert_eq!(told.cookie.as_deref(), Some(expected), "{cookie}");
        assert_eq!(told.shown, "NOERROR aa | www.example. 300 TXT hello", "{cookie}");
    }
}

/// Whoever shows one is at its address: nobody else is sent what is long.
#[test]
fn a_valid_cookie_lifts_the_bound_on_amplification() {
    let free = at(SECRET, 1_559_731_985);
    let bounded = At {
        rules: Rules { amplification: Amplification::times(2), ..Rules::sized(1232) },
        ..at(SECRET, 1_559_731_985)
    };
    let tell = |at: &At, cookie: &str| {
        let query = Ask::new("host.sub.example. A").opt(1232, 0, false, &option(COOKIE, &hex(cookie))).octets();
        at.send(client("198.51.100.100"), &query, Transport::Udp)
    };
    let (new, valid) = ("2464c4abcf10c957", "2464c4abcf10c957010000005cf79f111f8130c3eee29480");
    assert_eq!(tell(&free, new).shown, tell(&free, valid).shown);
    let told = tell(&bounded, valid);
    assert_eq!((told.worth, told.shown), (Cookie::Valid, tell(&free, valid).shown));
    let told = tell(&bounded, new);
    assert!(told.shown.contains(" tc") && told.cookie.is_some(), "{}", told.shown);
}

mod rfc9018 {
    use super::*;

    #[test]
    fn appendix_a_1_learning_a_new_server_cookie() {
        let expected = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        at(SECRET, 1_559_731_985).check("198.51.100.100", "2464c4abcf10c957", Cookie::Client, expected);
    }

    #[test]
    fn appendix_a_2_the_same_client_learning_a_renewed_one() {
        let query = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        let expected = "2464c4abcf10c957010000005cf7a871d4a564a1442aca77";
        at(SECRET, 1_559_734_385).check("198.51.100.100", query, Cookie::Valid, expected);
    }

    /// The cookie of the query has reserved octets that are not zero. At the time of the example's response it is older than
    /// what section 4.3 allows; while it is not, it is valid.
    #[test]
    fn appendix_a_3_another_client_learning_a_renewed_one() {
        let query = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
        let expected = "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e";
        at(SECRET, 1_559_734_700).check("203.0.113.203", query, Cookie::Bad, expected);
        let soon = at(SECRET, 1_559_727_985).tell("203.0.113.203", query);
        assert_eq!(soon.worth, Cookie::Valid);
        assert!(soon.cookie.unwrap().starts_with("fc93fc62807ddb86010000005cf78f71"), "reserved octets are zero here");
    }

    #[test]
    fn appendix_a_4_ipv6_and_a_secret_that_was_rolled_over() {
        let query = "22681ab97d52c298010000005cf7c57926556bd0934c72f8";
        let expected = "22681ab97d52c298010000005cf7c609a6bb79d16625507a";
        let from = "2001:db8:220:1:59de:d0f4:8769:82b8";
        const BOTH: &str = "445536bcd2513298075a5d379663c962\ndd3bdf9344b678b185a6f5cb60fca715";
        at(BOTH, 1_559_741_961).check(from, query, Cookie::Valid, expected);
        at(NEW, 1_559_741_961).check(from, query, Cookie::Bad, expected);
        at(OLD, 1_559_741_961).check(from, query, Cookie::Valid, query);
        // Servers of one name take up a secret one after the other: a cookie of it is accepted before it is the active one.
        const BEFORE: &str = "dd3bdf9344b678b185a6f5cb60fca715\n445536bcd2513298075a5d379663c962";
        assert_eq!(at(BEFORE, 1_559_741_961).tell(from, expected).worth, Cookie::Valid);
    }

    #[test]
    fn section_4_3_an_hour_back_five_minutes_ahead_and_renewed_after_half_an_hour() {
        let made = 1_559_731_985_u32;
        let cookie = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        let check = |age: i64, worth, renewed| {
            let told = at(SECRET, (i64::from(made) + age) as u32).tell("198.51.100.100", cookie);
            assert_eq!((told.worth, told.cookie.as_deref() != Some(cookie)), (worth, renewed), "{age} s");
        };
        check(0, Cookie::Valid, false);
        check(1799, Cookie::Valid, false);
        check(1800, Cookie::Valid, true);
        check(3600, Cookie::Valid, true);
        check(3601, Cookie::Bad, true);
        check(-300, Cookie::Valid, false);
        check(-301, Cookie::Bad, true);
        check(1 << 31, Cookie::Bad, true);
    }

    /// In serial number arithmetic (RFC 1982): time goes on when 32 bits are full.
    #[test]
    fn section_4_3_timestamps_wrap() {
        let before = at(SECRET, u32::MAX - 9).tell("192.0.2.1", "0102030405060708").cookie.unwrap();
        for (now, worth) in [(5, Cookie::Valid), (3590, Cookie::Valid), (3591, Cookie::Bad)] {
            assert_eq!(at(SECRET, now).tell("192.0.2.1", &before).worth, worth, "{now}");
        }
    }

    #[test]
    fn section_4_4_a_cookie_is_of_one_address_one_client_cookie_and_one_version() {
        let now = 1_559_731_985;
        let good = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        let worth = |from: &str, cookie: &str| at(SECRET, now).tell(from, cookie).worth;
        assert_eq!(worth("198.51.100.100", good), Cookie::Valid);
        assert_eq!(worth("::ffff:198.51.100.100", good), Cookie::Valid, "the same address");
        assert_eq!(worth("198.51.100.101", good), Cookie::Bad);
        for at in 0..24 {
            let mut other = hex(good);
            other[at] ^= 0x10;
            let other: String = other.iter().map(|octet| format!("{octet:02x}")).collect();
            assert_eq!(worth("198.51.100.100", &other), Cookie::Bad, "octet {at}");
        }
        // Two addresses of one /64 are one client for answers, and two for cookies.
        let of = |from: &str| at(SECRET, now).tell(from, "0102030405060708").cookie.unwrap();
        assert_ne!(of("2001:db8::1"), of("2001:db8::2"));
        assert_eq!(worth("2001:db8::1", &of("2001:db8::1")), Cookie::Valid);
        assert_eq!(worth("2001:db8::2", &of("2001:db8::1")), Cookie::Bad);
    }

    #[test]
    fn section_5_secrets_are_read_strictly_and_never_shown() {
        let read = |text: &str| Secrets::read(text).map(|secrets| secrets.count());
        assert_eq!(read(&format!("# of all servers\n\n{SECRET}  # active\n0x{OLD}\n")), Ok(2));
        assert_eq!(read(SECRET), Ok(1));
        assert_eq!(read(&SECRET.to_uppercase()), Ok(1));
        for wrong in [&SECRET[1..], &format!("{SECRET}0"), "+5e973e5a6b2a43f48e7dc849e37bfcf", "secret", "é"] {
            let error = read(&format!("{OLD}\n{wrong}")).unwrap_err();
            assert!(error.starts_with("line 2 is not 32 hexadecimal digits"), "{error}");
        }
        assert_eq!(read(&format!("{OLD}\n{OLD}")), Err("the secret of line 2 is there already".into()));
        assert!(read("# none\n").unwrap_err().starts_with("it holds no secret"));
        let many: String = (0..=MOST_SECRETS).map(|n| format!("{n:032x}\n")).collect();
        assert_eq!(read(&many), Err("it holds 9 secrets, expected at most 8".into()));
        let shown = format!("{:?}", Secrets::read(SECRET).unwrap());
        assert!(!shown.contains("e5") && !shown.contains("58853"), "{shown}");
        assert!(Secret::parse(SECRET).is_some());
    }
}

mod rfc7873 {
    use super::*;

    const NOW: u32 = 1_559_731_985;
    const GOOD: &str = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
    const FROM: &str = "198.51.100.100";

    #[test]
    fn section_5_2_1_without_a_cookie_there_is_none() {
        let query = Ask::new("www.example. TXT").edns().octets();
        let told = at(SECRET, NOW).send(client(FROM), &query, Transport::Udp);
        assert_eq!((told.worth, told.cookie), (Cookie::Absent, None));
    }

    #[test]
    fn section_5_2_2_a_length_that_a_cookie_cannot_have_is_a_format_error() {
        for length in 0..60 {
            let told = at(SECRET, NOW).tell(FROM, &"ab".repeat(length));
            let fits = length == 8 || (16..=40).contains(&length);
            assert_eq!(told.shown.starts_with("NOERROR"), fits, "{length} octets");
            assert_eq!(told.shown == "FORMERR", !fits, "{length} octets");
            assert_eq!(told.worth == Cookie::Malformed, !fits, "{length} octets");
            assert_eq!(told.cookie.is_some(), fits, "{length} octets");
        }
        // Where cookies are off they are options like any other.
        let query = Ask::new("www.example. TXT").opt(1232, 0, false, &option(COOKIE, &[1])).octets();
        let response = send(&world(), &query, Transport::Udp);
        assert_eq!((show(&response).starts_with("NOERROR"), options_of(&response)), (true, Some(vec![])));
    }

    #[test]
    fn section_5_2_3_and_5_2_4_who_has_no_valid_cookie_is_given_one_and_answered() {
        let server = at(SECRET, NOW);
        server.check(FROM, "2464c4abcf10c957", Cookie::Client, GOOD);
        server.check(FROM, "2464c4abcf10c957ffffffffffffffff", Cookie::Bad, GOOD);
        server.check(FROM, &format!("2464c4abcf10c957{}", "ff".repeat(32)), Cookie::Bad, GOOD);
        server.check(FROM, GOOD, Cookie::Valid, GOOD);
    }

    #[test]
    fn section_5_2_where_required_a_cookie_is_learnt_first() {
        let server = at(SECRET, NOW).demanding();
        for cookie in ["2464c4abcf10c957", "2464c4abcf10c957ffffffffffffffff"] {
            let told = server.tell(FROM, cookie);
            assert_eq!((told.shown.as_str(), told.cookie.as_deref()), ("BADCOOKIE", Some(GOOD)), "{cookie}");
        }
        server.check(FROM, GOOD, Cookie::Valid, GOOD);
        // Who knows no cookies is sent to TCP, by a response that is no larger than the query.
        for query in [Ask::new("www.example. TXT"), Ask::new("www.example. TXT").edns()] {
            let told = server.send(client(FROM), &query.octets(), Transport::Udp);
            assert_eq!((told.shown.as_str(), told.cookie), ("NOERROR tc", None));
            for transport in [Transport::Tcp, Transport::Encrypted] {
                let told = server.send(client(FROM), &query.octets(), transport);
                assert_eq!(told.shown, "NOERROR aa | www.example. 300 TXT hello");
            }
        }
        // What is not a question stays what it is.
        let mut notify = Ask::new("www.example. SOA");
        notify.flags[0] |= 4 << 3;
        assert_eq!(server.send(client(FROM), &notify.octets(), Transport::Udp).shown, "NOTIMP");
    }

    #[test]
    fn section_5_2_errors_have_a_cookie_too() {
        let ask = |question: &str, opcode: u8| {
            let mut query = Ask::new(question).opt(1232, 0, false, &option(COOKIE, &hex(GOOD)));
            query.flags[0] |= opcode << 3;
            at(SECRET, NOW).send(client(FROM), &query.octets(), Transport::Udp)
        };
        for (question, opcode, shown) in
            [("nowhere. A", 0, "REFUSED"), ("example. AXFR", 0, "REFUSED"), ("example. SOA", 4, "NOTIMP")]
        {
            let told = ask(question, opcode);
            assert_eq!((told.shown.as_str(), told.cookie.as_deref()), (shown, Some(GOOD)), "{question}");
        }
    }

    #[test]
    fn section_5_2_of_several_cookies_the_first_counts() {
        let told = |second: &[u8]| {
            let both = [option(COOKIE, &hex(GOOD)), option(COOKIE, second)].concat();
            let query = Ask::new("www.example. TXT").opt(1232, 0, false, &both).octets();
            let told = at(SECRET, NOW).send(client(FROM), &query, Transport::Udp);
            (told.worth, told.cookie)
        };
        assert_eq!(told(&[7; 8]), (Cookie::Valid, Some(GOOD.into())));
        assert_eq!(told(&[7; 7]), (Cookie::Valid, Some(GOOD.into())), "all others are ignored");
    }

    /// RFC 9619 4 leaves this as it is.
    #[test]
    fn section_5_4_a_query_for_a_cookie_has_no_question() {
        let ask = |cookie: &str| {
            let mut query = Ask::new("www.example. A").opt(1232, 0, false, &option(COOKIE, &hex(cookie)));
            query.question.clear();
            query.counts[0] = 0;
            let told = at(SECRET, NOW).send(client(FROM), &query.octets(), Transport::Udp);
            (told.shown, told.cookie)
        };
        assert_eq!(ask("2464c4abcf10c957"), ("NOERROR".into(), Some(GOOD.into())));
        assert_eq!(ask(GOOD), ("NOERROR".into(), Some(GOOD.into())));
        assert_eq!(ask("2464c4abcf10c957ffffffffffffffff"), ("BADCOOKIE".into(), Some(GOOD.into())));
        assert_eq!(ask("24"), ("FORMERR".into(), None));
    }

    #[test]
    fn section_4_a_response_with_a_cookie_keeps_to_the_size() {
        let lines: String = (0..60).map(|n| format!("many A 192.0.2.{n}\n")).collect();
        let many = snapshot(&[zone("example.", &lines)], vec![]);
        let secrets = Arc::new(Secrets::read(SECRET).unwrap());
        let jars = move || Jar { secrets: Guard::from_inner(secrets.clone()), now: NOW };
        let rules = Rules::sized(1232);
        let whole = 12 + 14 + 4 + 60 * 16 + 11 + 28;
        for (size, cut) in [(whole, false), (whole - 1, true)] {
            let query = Ask::new("many.example. A").opt(size, 0, false, &option(COOKIE, &hex(GOOD))).octets();
            let mut response = Vec::new();
            respond(&many, &query, client(FROM), Transport::Udp, &Terms::new(&rules, Some(&jars)), &mut response);
            assert_eq!(show(&response).contains(" tc"), cut, "{size}");
            assert_eq!(response.len() == usize::from(size), !cut, "{size}");
            assert!(options_of(&response).unwrap().iter().any(|(code, _)| *code == COOKIE));
        }
    }
}
