//! Headers, errors, sizes and OPT records.

use super::*;

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
    fn section_3_2_5_other_classes_are_refused() {
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
        let (_, opt) =
            opt_of(Ask::new("nothing.example. TXT").opt(4096, 0, false, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]));
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
        let sized = snapshot(&[zone("example.", &lines)], vec![]);
        let tc = |question: &str, size| ask(&sized, &Ask::new(question).opt(size, 0, false, &[])).contains(" tc");
        assert!(!tc("some.example. A", 100));
        assert!(tc("big.example. A", 65_535));
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
        for meta in ["OPT", "TSIG", "TKEY", "MAILB", "TYPE128", "TYPE0"] {
            check(&format!("www.example. {meta}"), "NOERROR aa | - | SOA!");
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
