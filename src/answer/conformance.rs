//! What the RFCs ask of an answer, by RFC and section; read back by another codec.

use super::respond::Transport;
use super::snapshot::Snapshot;
use super::testing::{Ask, ask, hub, name, send, show, snapshot, zone};

const SOA: &str = "example. 60 SOA ns.example.org. host.example.org. 7 3600 600 86400 60";

fn world() -> Snapshot {
    let example = zone(
        "example.",
        "
        @ TXT apex
        www A 192.0.2.1
        www A 192.0.2.2
        www AAAA 2001:db8::1
        www TXT hello
        MiXed A 192.0.2.3
        mail MX 10 www
        alias CNAME www
        alias2 CNAME alias
        away CNAME www.example.org.
        gone CNAME nothing
        intosub CNAME host.sub
        intochild CNAME www.child
        notxt CNAME mixed
        loop1 CNAME loop2
        loop2 CNAME loop1
        self CNAME self
        a.b.ent A 192.0.2.4
        *.wild A 192.0.2.5
        *.wild TXT any
        deep.exists.wild A 192.0.2.6
        *.wc CNAME www
        *.wcself CNAME x.wcself
        sub NS ns.sub
        sub NS ns.other
        sub NS www
        sub NS ns.example.org.
        sub DS 00010d02aa
        ns.sub A 192.0.2.53
        ns.sub AAAA 2001:db8::53
        other NS ns.other
        ns.other A 192.0.2.54
        glueless NS ns.example.org.
        old DNAME new.example.
        old TXT itself
        x.new A 192.0.2.7
        back DNAME example.
        long DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.new
        grow DNAME y.grow
        child NS ns.child
        child DS 00020d02bb
        ns.child A 192.0.2.55
        www.child A 192.0.2.66
        ",
    );
    let child = zone("child.example.", "www A 192.0.2.8\nup CNAME www.example.\nns A 192.0.2.55");
    let orphan = zone("un.delegated.example.", "www A 192.0.2.9");
    let hubs = vec![
        hub("hub.example.", "weu cname hub-weu.azure-devices.net.\nneu cname hub-neu.azure-devices.net."),
        hub("inner.deep.example.", "weu cname www.example.\nneu 192.0.2.99"),
    ];
    snapshot(&[example, child, orphan], hubs)
}

#[track_caller]
fn check(question: &str, expected: &str) {
    assert_eq!(ask(&world(), &Ask::new(question)), expected.replace("SOA!", SOA), "{question}");
}

mod rfc1034 {
    use super::*;

    #[test]
    fn section_4_3_2_step_3_a_exact_match() {
        check("www.example. A", "NOERROR aa | www.example. 300 A 192.0.2.1, www.example. 300 A 192.0.2.2");
        check("www.example. AAAA", "NOERROR aa | www.example. 300 AAAA 2001:db8::1");
        check("example. NS", "NOERROR aa | example. 3600 NS ns.example.org.");
        check("mail.example. MX", "NOERROR aa | mail.example. 300 MX 10 www.example.");
    }

    #[test]
    fn section_4_3_2_step_3_a_alias() {
        let www = "www.example. 300 TXT hello";
        check("alias.example. TXT", &format!("NOERROR aa | alias.example. 300 CNAME www.example., {www}"));
        check(
            "alias2.example. TXT",
            &format!(
                "NOERROR aa | alias2.example. 300 CNAME alias.example., alias.example. 300 CNAME www.example., {www}"
            ),
        );
        check("alias2.example. CNAME", "NOERROR aa | alias2.example. 300 CNAME alias.example.");
        check("away.example. A", "NOERROR aa | away.example. 300 CNAME www.example.org.");
    }

    #[test]
    fn section_3_6_2_loops_end() {
        check(
            "loop1.example. A",
            "NOERROR aa | loop1.example. 300 CNAME loop2.example., loop2.example. 300 CNAME loop1.example.",
        );
        check("self.example. A", "NOERROR aa | self.example. 300 CNAME self.example.");
        check(
            "a.wcself.example. A",
            "NOERROR aa | a.wcself.example. 300 CNAME x.wcself.example., x.wcself.example. 300 CNAME x.wcself.example.",
        );
    }

    #[test]
    fn section_3_6_2_a_chain_has_a_bound() {
        let lines: String = (0..40).map(|n| format!("c{n} CNAME c{}\n", n + 1)).collect();
        let long = snapshot(&[zone("example.", &lines)], vec![]);
        let shown = ask(&long, &Ask::new("c0.example. A").edns());
        assert_eq!(shown.matches("CNAME").count(), 16);
        assert!(shown.starts_with("NOERROR aa | "), "{shown}");
    }

    #[test]
    fn section_4_2_1_referral_without_authority() {
        check("glueless.example. A", "NOERROR | - | glueless.example. 300 NS ns.example.org.");
        check("x.y.glueless.example. TXT", "NOERROR | - | glueless.example. 300 NS ns.example.org.");
        check(
            "ns.other.example. A",
            "NOERROR | - | other.example. 300 NS ns.other.example. | ns.other.example. 300 A 192.0.2.54",
        );
    }

    #[test]
    fn section_4_3_2_a_chain_into_a_referral_keeps_the_authority_of_its_first_name() {
        let shown = ask(&world(), &Ask::new("intosub.example. A"));
        assert!(shown.starts_with("NOERROR aa | intosub.example. 300 CNAME host.sub.example. | sub.example. 300 NS "));
        assert!(shown.contains(" | ns.sub.example. 300 A 192.0.2.53, "), "{shown}");
    }

    #[test]
    fn section_4_3_2_step_2_the_nearest_zone() {
        check("www.child.example. A", "NOERROR aa | www.child.example. 300 A 192.0.2.8");
        check("www.un.delegated.example. A", "NOERROR aa | www.un.delegated.example. 300 A 192.0.2.9");
        check("delegated.example. A", "NXDOMAIN aa | - | SOA!");
        check("example.org. A", "REFUSED");
        check(". NS", "REFUSED");
    }

    #[test]
    fn section_4_3_2_chains_cross_served_zones() {
        check(
            "intochild.example. A",
            "NOERROR aa | intochild.example. 300 CNAME www.child.example., www.child.example. 300 A 192.0.2.8",
        );
        check(
            "up.child.example. AAAA",
            "NOERROR aa | up.child.example. 300 CNAME www.example., www.example. 300 AAAA 2001:db8::1",
        );
    }

    #[test]
    fn the_root_is_a_zone_like_any_other() {
        let root = snapshot(&[zone(".", "net NS ns.net\nns.net A 192.0.2.1\nhost A 192.0.2.2\nto CNAME host")], vec![]);
        let check = |question: &str, expected: &str| assert_eq!(ask(&root, &Ask::new(question)), expected);
        check(". NS", "NOERROR aa | . 3600 NS ns.example.org.");
        check("to. A", "NOERROR aa | to. 300 CNAME host., host. 300 A 192.0.2.2");
        check("a.net. A", "NOERROR | - | net. 300 NS ns.net. | ns.net. 300 A 192.0.2.1");
        check("no. A", "NXDOMAIN aa | - | . 60 SOA ns.example.org. host.example.org. 7 3600 600 86400 60");
    }
}

mod rfc1035 {
    use super::*;

    /// The name and class of the answer in the case of the question (the 0x20 bits), flags but RD clear.
    #[test]
    fn section_4_1_header_and_question_come_back() {
        let mut query = Ask::new("mIxEd.eXaMpLe. A");
        query.flags = [0x01, 0x70];
        let response = send(&world(), &query.octets(), Transport::Udp);
        assert_eq!(response[..4], [0x12, 0x34, 0x85, 0x00]);
        assert!(response[12..].starts_with(&query.question));
        assert_eq!(show(&response), "NOERROR aa | mIxEd.eXaMpLe. 300 A 192.0.2.3");
        query.flags = [0x00, 0x00];
        assert_eq!(send(&world(), &query.octets(), Transport::Udp)[2], 0x84);
    }

    #[test]
    fn section_4_1_1_what_is_not_answered() {
        let query = Ask::new("www.example. A");
        let mut response = query.clone();
        response.flags[0] |= 0x80;
        assert_eq!(ask(&world(), &response), "silence");
        assert!(send(&world(), &query.octets()[..11], Transport::Tcp).is_empty());
        assert!(send(&world(), &[], Transport::Udp).is_empty());
    }

    #[test]
    fn section_4_1_1_what_cannot_be_read_is_a_format_error() {
        let shown = |change: fn(&mut Ask)| {
            let mut query = Ask::new("www.example. A");
            change(&mut query);
            ask(&world(), &query)
        };
        assert_eq!(shown(|query| query.rest.push(0)), "FORMERR");
        assert_eq!(shown(|query| query.question = b"\x03www".to_vec()), "FORMERR");
        assert_eq!(shown(|query| query.question = b"\xc0\x0c\0\x01\0\x01".to_vec()), "FORMERR");
        assert_eq!(shown(|query| query.question.truncate(12)), "FORMERR");
        assert_eq!(shown(|query| query.counts[1] = 1), "FORMERR");
        let header_only = send(&world(), &Ask::new("www.example. A").octets()[..12], Transport::Udp);
        assert_eq!(header_only, [0x12, 0x34, 0x81, 0x01, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn section_3_2_4_other_classes_are_refused() {
        for class in [2, 3, 4, 254, 255, 4096u16] {
            let mut query = Ask::new("www.example. A");
            let at = query.question.len() - 2;
            query.question[at..].copy_from_slice(&class.to_be_bytes());
            let response = send(&world(), &query.octets(), Transport::Udp);
            assert_eq!(response[2..12], [0x81, 0x05, 0, 1, 0, 0, 0, 0, 0, 0], "class {class}");
        }
    }

    #[test]
    fn section_4_2_1_a_response_over_udp_without_edns_has_512_octets() {
        let lines: String = (0..60).map(|n| format!("many A 192.0.2.{n}\n")).collect();
        let many = snapshot(&[zone("example.", &lines)], vec![]);
        let octets = |query: Ask, transport| send(&many, &query.octets(), transport);
        let query = Ask::new("many.example. A");
        assert_eq!(show(&octets(query.clone(), Transport::Udp)), "NOERROR aa tc");
        let whole = octets(query.clone(), Transport::Tcp);
        assert_eq!(whole.len(), 12 + 14 + 4 + 60 * 16);
        assert_eq!(octets(query.clone().edns(), Transport::Udp).len(), whole.len() + 11);
        // One octet less than it takes: all or nothing (RFC 2181 9).
        let fits = whole.len() as u16 + 11;
        assert_eq!(octets(query.clone().opt(fits, 0, false, &[]), Transport::Udp).len(), usize::from(fits));
        assert_eq!(show(&octets(query.clone().opt(fits - 1, 0, false, &[]), Transport::Udp)), "NOERROR aa tc");
    }
}

mod rfc2308 {
    use super::*;

    #[test]
    fn section_2_1_name_error() {
        check("nothing.example. A", "NXDOMAIN aa | - | SOA!");
        check("x.www.example. A", "NXDOMAIN aa | - | SOA!");
    }

    #[test]
    fn section_2_1_name_error_at_the_end_of_a_chain() {
        check("gone.example. A", "NXDOMAIN aa | gone.example. 300 CNAME nothing.example. | SOA!");
    }

    #[test]
    fn section_2_2_no_data() {
        check("mixed.example. TXT", "NOERROR aa | - | SOA!");
        check("www.example. TYPE65400", "NOERROR aa | - | SOA!");
        check("notxt.example. TXT", "NOERROR aa | notxt.example. 300 CNAME mixed.example. | SOA!");
    }

    #[test]
    fn section_3_the_lesser_ttl() {
        let short = zone("short.", "");
        let mut zone = (*short).clone();
        zone.nodes.values_mut().for_each(|node| node.values_mut().for_each(|rrset| rrset.ttl = 20));
        let shown = ask(&snapshot(&[zone.into()], vec![]), &Ask::new("x.short. A"));
        assert!(shown.contains("| short. 20 SOA "), "{shown}");
    }
}

mod rfc4592 {
    use super::*;

    #[test]
    fn section_3_3_1_the_closest_enclosers_wildcard() {
        check("x.wild.example. A", "NOERROR aa | x.wild.example. 300 A 192.0.2.5");
        check("X.y.wild.example. TXT", "NOERROR aa | X.y.wild.example. 300 TXT any");
        check("*.wild.example. A", "NOERROR aa | *.wild.example. 300 A 192.0.2.5");
        check("x.*.wild.example. A", "NXDOMAIN aa | - | SOA!");
        check("x.wild.example. MX", "NOERROR aa | - | SOA!");
    }

    #[test]
    fn section_2_2_2_an_empty_non_terminal_exists_and_hides_the_wildcard() {
        check("ent.example. A", "NOERROR aa | - | SOA!");
        check("b.ent.example. A", "NOERROR aa | - | SOA!");
        check("exists.wild.example. A", "NOERROR aa | - | SOA!");
        check("x.exists.wild.example. A", "NXDOMAIN aa | - | SOA!");
        check("wild.example. A", "NOERROR aa | - | SOA!");
    }

    #[test]
    fn section_4_3_a_wildcard_alias_is_followed() {
        check("any.wc.example. TXT", "NOERROR aa | any.wc.example. 300 CNAME www.example., www.example. 300 TXT hello");
    }
}

mod rfc6672 {
    use super::*;

    #[test]
    fn section_3_2_substitution() {
        check(
            "X.old.example. A",
            "NOERROR aa | old.example. 300 DNAME new.example., X.old.example. 300 CNAME X.new.example., \
             X.new.example. 300 A 192.0.2.7",
        );
        check(
            "no.old.example. A",
            "NXDOMAIN aa | old.example. 300 DNAME new.example., no.old.example. 300 CNAME no.new.example. | SOA!",
        );
        check(
            "x.old.example. CNAME",
            "NOERROR aa | old.example. 300 DNAME new.example., x.old.example. 300 CNAME x.new.example.",
        );
    }

    #[test]
    fn section_2_3_the_owner_itself_is_not_redirected() {
        check("old.example. TXT", "NOERROR aa | old.example. 300 TXT itself");
        check("old.example. DNAME", "NOERROR aa | old.example. 300 DNAME new.example.");
        check("old.example. A", "NOERROR aa | - | SOA!");
    }

    #[test]
    fn section_2_2_too_long_a_name() {
        let label = "d".repeat(63);
        let shown = ask(&world(), &Ask::new(&format!("{label}.long.example. A")));
        assert!(shown.starts_with("YXDOMAIN aa | long.example. 300 DNAME aaaa"), "{shown}");
        assert!(!shown.contains("CNAME"), "{shown}");
    }

    #[test]
    fn section_3_2_a_redirection_that_never_ends_is_cut() {
        let shown = ask(&world(), &Ask::new("x.grow.example. A").edns());
        assert_eq!(shown.matches(" DNAME ").count(), 1, "{shown}");
        assert_eq!(shown.matches(" CNAME ").count(), 16, "{shown}");
        check(
            "www.back.back.example. TXT",
            "NOERROR aa | back.example. 300 DNAME example., www.back.back.example. 300 CNAME www.back.example., \
             www.back.example. 300 CNAME www.example., www.example. 300 TXT hello",
        );
    }
}

mod rfc4035 {
    use super::*;

    #[test]
    fn section_3_1_4_1_ds_belongs_to_the_parent() {
        let shown = ask(&world(), &Ask::new("sub.example. DS"));
        assert!(shown.starts_with("NOERROR aa | sub.example. 300 DS 00010d02aa"), "{shown}");
        let shown = ask(&world(), &Ask::new("child.example. DS"));
        assert!(shown.starts_with("NOERROR aa | child.example. 300 DS 00020d02bb"), "{shown}");
        check("glueless.example. DS", "NOERROR aa | - | SOA!");
        check("un.delegated.example. DS", "NXDOMAIN aa | - | SOA!");
        check("example. DS", "NOERROR aa | - | SOA!");
        check("x.glueless.example. DS", "NOERROR | - | glueless.example. 300 NS ns.example.org.");
    }

    #[test]
    fn section_3_1_4_ds_in_a_referral_with_do() {
        let shown = ask(&world(), &Ask::new("x.sub.example. A").dnssec());
        assert!(shown.contains("sub.example. 300 DS 00010d02aa"), "{shown}");
        assert!(!ask(&world(), &Ask::new("x.sub.example. A").edns()).contains(" DS "));
        assert!(!ask(&world(), &Ask::new("x.glueless.example. A").dnssec()).contains(" DS "));
    }

    #[test]
    fn section_2_5_signatures_beside_an_alias_are_data() {
        let signed = zone(
            "example.",
            "alias CNAME www\nalias RRSIG 00050d020000012c000000000000000000010001aa\nwww A 192.0.2.1",
        );
        let shown = ask(&snapshot(&[signed], vec![]), &Ask::new("alias.example. RRSIG"));
        assert!(shown.starts_with("NOERROR aa | alias.example. 300 RRSIG 00050d02"), "{shown}");
    }
}

mod rfc9471 {
    use super::*;

    #[test]
    fn section_3_in_domain_glue_first_then_what_the_zone_knows() {
        check(
            "x.sub.example. A",
            "NOERROR | - | sub.example. 300 NS ns.sub.example., sub.example. 300 NS ns.other.example., \
             sub.example. 300 NS www.example., sub.example. 300 NS ns.example.org. | \
             ns.sub.example. 300 A 192.0.2.53, ns.sub.example. 300 AAAA 2001:db8::53, ns.other.example. 300 A 192.0.2.54, \
             www.example. 300 A 192.0.2.1, www.example. 300 A 192.0.2.2, www.example. 300 AAAA 2001:db8::1",
        );
    }

    #[test]
    fn section_3_1_missing_in_domain_glue_truncates() {
        let servers = |inside: usize, outside: usize| {
            let inside = (0..inside).map(|n| format!("sub NS ns{n}.sub\nns{n}.sub AAAA 2001:db8::{n:x}\n"));
            let outside = (0..outside).map(|n| format!("sub NS ns{n}.out\nns{n}.out AAAA 2001:db8::{n:x}\n"));
            snapshot(&[zone("example.", &inside.chain(outside).collect::<String>())], vec![])
        };
        let shown = |snapshot: &Snapshot| ask(snapshot, &Ask::new("sub.example. A"));
        assert!(shown(&servers(9, 0)).starts_with("NOERROR | "));
        assert!(shown(&servers(12, 0)).starts_with("NOERROR tc | "));
        // Section 3.2: those of siblings are left out without TC.
        let siblings = shown(&servers(0, 12));
        assert!(siblings.starts_with("NOERROR | "));
        assert!((1..12).contains(&siblings.matches("AAAA").count()), "{siblings}");
    }
}

mod rfc6891 {
    use super::*;

    fn opt_of(query: Ask) -> (String, Vec<u8>) {
        let response = send(&world(), &query.octets(), Transport::Udp);
        (show(&response), response[response.len() - 11..].to_vec())
    }

    #[test]
    fn section_6_1_1_opt_is_answered_with_opt() {
        let (shown, opt) = opt_of(Ask::new("www.example. TXT").dnssec());
        assert_eq!(shown, "NOERROR aa | www.example. 300 TXT hello");
        assert_eq!(opt, [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
        let (_, opt) = opt_of(Ask::new("nowhere. TXT").opt(4096, 0, false, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]));
        assert_eq!(opt, [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn section_6_1_3_version() {
        let (shown, opt) = opt_of(Ask::new("www.example. TXT").opt(1232, 1, false, &[]));
        assert_eq!(shown, "BADVERS");
        assert_eq!(opt, [0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn section_6_1_1_more_than_one_opt_or_one_elsewhere() {
        assert_eq!(ask(&world(), &Ask::new("www.example. A").edns().edns()), "FORMERR");
        let mut owned = Ask::new("www.example. A").edns();
        owned.rest.splice(0..1, *b"\x01a\0");
        assert_eq!(ask(&world(), &owned), "FORMERR");
        let mut early = Ask::new("www.example. A").edns();
        early.counts = [1, 1, 0, 0];
        assert_eq!(ask(&world(), &early), "FORMERR");
        assert_eq!(ask(&world(), &Ask::new("www.example. A").opt(1232, 0, false, &[0, 10, 0, 9, 1])), "FORMERR");
    }

    #[test]
    fn section_6_2_3_sizes_below_512_mean_512_and_ours_bounds_the_clients() {
        let lines: String = (0..100).map(|n| format!("big A 192.0.2.{n}\nsome A 192.0.2.{}\n", n % 20)).collect();
        let mut sized = (*zone("example.", &lines)).clone();
        sized.nodes.values_mut().for_each(|node| node.values_mut().for_each(|rrset| rrset.rdatas.dedup()));
        let some = sized.nodes.get_mut(&name("some.example.")).unwrap().values_mut().next().unwrap();
        some.rdatas.truncate(20);
        let sized = snapshot(&[sized.into()], vec![]);
        let tc = |question: &str, size| ask(&sized, &Ask::new(question).opt(size, 0, false, &[])).contains(" tc");
        assert!(!tc("some.example. A", 100));
        assert!(tc("big.example. A", 65_535));
    }
}

mod rfc8482 {
    use super::*;

    #[test]
    fn section_4_1_one_rrset() {
        check("www.example. ANY", "NOERROR aa | www.example. 300 A 192.0.2.1, www.example. 300 A 192.0.2.2");
        check("alias.example. ANY", "NOERROR aa | alias.example. 300 CNAME www.example.");
        check("ent.example. ANY", "NOERROR aa | - | SOA!");
        check("nothing.example. ANY", "NXDOMAIN aa | - | SOA!");
        check("glueless.example. ANY", "NOERROR | - | glueless.example. 300 NS ns.example.org.");
        check("x.wild.example. ANY", "NOERROR aa | x.wild.example. 300 A 192.0.2.5");
    }
}

mod rfc8906 {
    use super::*;

    #[test]
    fn section_3_1_4_opcodes() {
        for opcode in (1..16u8).filter(|opcode| *opcode != 0) {
            let mut query = Ask::new("example. SOA").edns();
            query.flags[0] |= opcode << 3;
            let response = send(&world(), &query.octets(), Transport::Udp);
            assert_eq!(response[2..4], [0x81 | opcode << 3, 0x04], "opcode {opcode}");
            assert!(response[12..].starts_with(&query.question));
            let header_only = send(&world(), &[0, 7, opcode << 3, 0, 0, 0, 0, 0, 0, 0, 0, 0], Transport::Udp);
            assert_eq!(header_only, [0, 7, 0x80 | opcode << 3, 4, 0, 0, 0, 0, 0, 0, 0, 0], "opcode {opcode}");
        }
    }

    #[test]
    fn section_3_1_2_types() {
        check("www.example. TYPE1000", "NOERROR aa | - | SOA!");
        check("www.example. TYPE65535", "NOERROR aa | - | SOA!");
        check("example. AXFR", "REFUSED");
        check("example. IXFR", "REFUSED");
        check("example. MAILB", "NOTIMP");
        for meta in ["OPT", "TSIG", "TKEY", "TYPE128", "TYPE0"] {
            check(&format!("www.example. {meta}"), "FORMERR");
        }
    }

    #[test]
    fn section_3_1_3_ad_and_cd_and_z_are_ignored_and_not_returned() {
        let mut query = Ask::new("www.example. TXT");
        query.flags[1] = 0xf0;
        assert_eq!(ask(&world(), &query), "NOERROR aa | www.example. 300 TXT hello");
    }
}

mod rfc9619 {
    use super::*;

    #[test]
    fn section_4_one_question() {
        for count in [0, 2, 65_535] {
            let mut query = Ask::new("www.example. A");
            query.counts[0] = count;
            let response = send(&world(), &query.octets(), Transport::Udp);
            assert_eq!(response, [0x12, 0x34, 0x81, 0x01, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
    }
}

mod hubs {
    use super::*;
    use crate::answer::snapshot::Choice;

    #[test]
    fn a_hub_answers_its_choice_and_its_names_above_exist() {
        let first = world();
        let shown = |snapshot: &Snapshot, question: &str| ask(snapshot, &Ask::new(question));
        assert_eq!(shown(&first, "hub.example. A"), "NOERROR aa | hub.example. 30 CNAME hub-weu.azure-devices.net.");
        assert_eq!(
            shown(&first, "inner.deep.example. TXT"),
            "NOERROR aa | inner.deep.example. 30 CNAME www.example., www.example. 300 TXT hello"
        );
        assert_eq!(shown(&first, "deep.example. A"), format!("NOERROR aa | - | {SOA}"));
        assert_eq!(shown(&first, "x.hub.example. A"), format!("NXDOMAIN aa | - | {SOA}"));
        let mut choices = first.choices.clone();
        choices[first.content.hub(&name("HUB.example.")).unwrap()] = Choice::Endpoint(1);
        let second = first.switch(choices.clone()).unwrap();
        assert_eq!(second.generation, 2);
        assert_eq!(shown(&second, "hub.example. A"), "NOERROR aa | hub.example. 30 CNAME hub-neu.azure-devices.net.");
        assert!(shown(&second, "inner.deep.example. TXT").contains("CNAME www.example."));
        choices[first.content.hub(&name("inner.deep.example.")).unwrap()] = Choice::Endpoint(1);
        let third = second.switch(choices).unwrap();
        assert_eq!(shown(&third, "inner.deep.example. A"), "NOERROR aa | inner.deep.example. 30 A 192.0.2.99");
        assert_eq!(shown(&third, "inner.deep.example. TXT"), format!("NOERROR aa | - | {SOA}"));
    }

    #[test]
    fn a_snapshot_that_would_empty_a_hub_is_not_made() {
        let first = world();
        let rules = |choices: Vec<Choice>| -> Vec<&str> {
            first.switch(choices.into()).unwrap_err().into_iter().map(|refused| refused.rule).collect()
        };
        assert_eq!(rules(vec![Choice::Endpoint(0)]), ["not-empty"]);
        assert_eq!(rules(vec![Choice::Endpoint(2), Choice::All]), ["not-empty", "not-empty"]);
    }

    #[test]
    fn other_types_stand_beside_addresses() {
        let example = zone("example.", "hub TXT static\nhub MX 5 mail\nmail A 192.0.2.1");
        let apex = zone("apex.", "");
        let hubs = vec![
            hub("hub.example.", "weu 192.0.2.10 2001:db8::10\nneu 192.0.2.20"),
            hub("apex.", "weu 192.0.2.10\nneu 192.0.2.20"),
        ];
        let first = snapshot(&[example, apex], hubs);
        let check = |snapshot: &Snapshot, question: &str, expected: &str| {
            let shown = ask(snapshot, &Ask::new(question));
            assert_eq!(shown.split(" SOA ").next().unwrap(), expected, "{question}");
        };
        check(&first, "hub.example. TXT", "NOERROR aa | hub.example. 300 TXT static");
        check(&first, "hub.example. A", "NOERROR aa | hub.example. 30 A 192.0.2.10");
        check(&first, "hub.example. AAAA", "NOERROR aa | hub.example. 30 AAAA 2001:db8::10");
        check(&first, "hub.example. ANY", "NOERROR aa | hub.example. 30 A 192.0.2.10");
        check(&first, "apex. A", "NOERROR aa | apex. 30 A 192.0.2.10");
        check(&first, "apex. NS", "NOERROR aa | apex. 3600 NS ns.example.org.");
        let second = first.switch([Choice::Endpoint(1), Choice::Endpoint(1)].into()).unwrap();
        check(&second, "hub.example. TXT", "NOERROR aa | hub.example. 300 TXT static");
        check(&second, "hub.example. A", "NOERROR aa | hub.example. 30 A 192.0.2.20");
        check(&second, "hub.example. AAAA", "NOERROR aa | - | example. 60");
        check(&second, "apex. A", "NOERROR aa | apex. 30 A 192.0.2.20");
    }

    #[test]
    fn all_answers_every_address_once() {
        let mut everything = hub("hub.example.", "weu 192.0.2.10 2001:db8::10\nneu 192.0.2.20 192.0.2.10");
        everything.when_all_down = crate::policy::WhenAllDown::All;
        let first = snapshot(&[zone("example.", "")], vec![everything]);
        let all = first.switch([Choice::All].into()).unwrap();
        assert_eq!(
            ask(&all, &Ask::new("hub.example. A")),
            "NOERROR aa | hub.example. 30 A 192.0.2.10, hub.example. 30 A 192.0.2.20"
        );
    }

    /// A hub may be a name server of a cut: its addresses follow its choice there as well.
    #[test]
    fn a_hub_as_glue() {
        let example = zone("example.", "sub NS hub");
        let first = snapshot(&[example], vec![hub("hub.example.", "weu 192.0.2.10\nneu 192.0.2.20")]);
        let second = first.switch([Choice::Endpoint(1)].into()).unwrap();
        assert!(ask(&first, &Ask::new("x.sub.example. A")).ends_with("| hub.example. 30 A 192.0.2.10"));
        assert!(ask(&second, &Ask::new("x.sub.example. A")).ends_with("| hub.example. 30 A 192.0.2.20"));
    }
}

#[test]
fn pointers_out_of_reach_are_written_in_full() {
    let servers: String = (0..1100).map(|n| format!("sub NS server{n}.sub\nserver{n}.sub A 192.0.2.1\n")).collect();
    let snapshot = snapshot(&[zone("example.", &servers)], vec![]);
    let response = send(&snapshot, &Ask::new("x.sub.example. A").octets(), Transport::Tcp);
    assert!(response.len() > 0x4000);
    let shown = show(&response);
    assert!(shown.starts_with("NOERROR | - | sub.example. 300 NS server0.sub.example., "));
    assert!(shown.ends_with("server1099.sub.example. 300 A 192.0.2.1"), "{}", &shown[shown.len() - 200..]);
    assert_eq!(shown.matches(" A ").count(), 1100);
}

/// With DS the search starts over in the zone above, whose apex is no suffix that the message points at.
#[test]
fn a_chain_to_the_parent_side_of_its_own_apex() {
    let parent = zone("example.", "child NS ns.example.org.");
    let child = zone("child.example.", "to CNAME child.example.");
    let snapshot = snapshot(&[parent, child], vec![]);
    assert_eq!(
        ask(&snapshot, &Ask::new("to.child.example. DS")),
        format!("NOERROR aa | to.child.example. 300 CNAME child.example. | {SOA}")
    );
}
