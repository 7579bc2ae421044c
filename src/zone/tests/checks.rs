//! What a zone must and should be, by the standard that says so.

use super::{HEAD, check, check_problems, check_problems_of, read_files};

mod rfc1034 {
    use super::*;

    #[test]
    fn section_3_6_2_cname_stands_alone() {
        check_problems(
            "a CNAME b.\na A 192.0.2.1\na TXT x\n",
            &[
                "5:1+1 error: A record beside a CNAME at `a.example.net.`, which allows no other data (the CNAME: 4:4:1)",
            ],
        );
        check_problems("a CNAME b.\na NSEC b CNAME\na KEY 256 3 8 AQI=\n", &[]);
        check_problems(
            "a CNAME b.\na CNAME c.\n",
            &["5:9+2 error: second CNAME record at `a.example.net.`, expected one (the first one: 4:4:9)"],
        );
    }

    #[test]
    fn section_4_2_1_cuts() {
        check_problems("sub NS ns.sub\nns.sub A 192.0.2.1\n  AAAA ::1\nsub DS 1 8 200 00\n", &[]);
        check_problems("sub NS sub\nsub A 192.0.2.1\n", &[]);
        check_problems("sub NS ns.other\nother NS ns.other\nns.other A 192.0.2.1\n", &[]);
        check_problems(
            "sub NS ns.sub\n",
            &[
                "4:8+6 warning: the delegation of `sub.example.net.` has no glue for its name server `ns.sub.example.net.` (hint: write an `A` or `AAAA` record for `ns.sub.example.net.` here too)",
            ],
        );
        check_problems(
            "sub NS ns.\nsub MX 1 x.\nx.sub A 192.0.2.1\ny.x.sub NS ns.\n",
            &[
                "5:1+3 error: MX record beside the delegation of `sub.example.net.`, and not glue (the delegation: 4:4:1) (hint: it belongs in the delegated zone)",
                "6:1+5 error: A record at `x.sub.example.net.`, which is delegated with `sub.example.net.` and not glue (the delegation: 4:4:1) (hint: glue is an address of a name that an NS record points at)",
                "7:1+7 error: NS record at `y.x.sub.example.net.`, which is delegated with `sub.example.net.` and not glue (the delegation: 4:4:1) (hint: glue is an address of a name that an NS record points at)",
            ],
        );
    }
}

mod rfc1035 {
    use super::*;

    #[test]
    fn section_5_2_apex() {
        check_problems_of(
            "$TTL 1\n",
            &[],
            &[
                "1:1+1 error: no NS record at the apex `example.net.`",
                "1:1+1 error: no SOA record at the apex `example.net.` (hint: write `example.net. SOA` with its seven values as the first record)",
            ],
        );
        check_problems_of(
            "",
            &[],
            &[
                "1:1+1 error: no NS record at the apex `example.net.`",
                "1:1+1 error: no SOA record at the apex `example.net.` (hint: write `example.net. SOA` with its seven values as the first record)",
            ],
        );
        check_problems(
            "@ SOA a. b. 2 2 3 4 5\na SOA a. b. 2 2 3 4 5\n",
            &[
                "4:7+15 error: second SOA record at `example.net.`, expected one (the first one: 2:2:7)",
                "5:1+1 error: SOA record at `a.example.net.`, expected at the apex `example.net.` only",
            ],
        );
    }
}

mod rfc2181 {
    use super::*;

    #[test]
    fn section_10_3_targets() {
        let check = |text: &str, problem: &str| {
            let (zone, diagnostics) = read_files(format!("{HEAD}{text}").as_bytes(), &[]);
            assert!(zone.is_some(), "{diagnostics:?}");
            let messages: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
            assert_eq!(messages, if problem.is_empty() { vec![] } else { vec![problem] }, "{text}");
        };
        let of_m = "MX record of `m.example.net.` points at `t.example.net.`, which";
        check("m MX 1 t\nt A 192.0.2.1\n", "");
        check("m MX 1 t\nt AAAA ::1\n", "");
        check("m MX 1 t.example.org.\nn MX 0 .\n", "");
        check("m MX 1 t\n", &format!("{of_m} does not exist in this zone"));
        check("m MX 1 t\nt CNAME a.\n", &format!("{of_m} is an alias (CNAME)"));
        check("m MX 1 t\nt TXT x\n", &format!("{of_m} has no address record"));
        check("m MX 1 t\nx.t TXT x\n", &format!("{of_m} has no address record"));
        check("m MX 1 t\n* A 192.0.2.1\n", "");
        check("m MX 1 t\n* CNAME a.\n", &format!("{of_m} is an alias (CNAME)"));
        check(
            "m MX 1 x.t\nt TXT x\n* A 192.0.2.1\n",
            "MX record of `m.example.net.` points at `x.t.example.net.`, which does not exist in this zone",
        );
        check(
            "m MX 1 x.t\nt DNAME a.\n",
            "MX record of `m.example.net.` points at `x.t.example.net.`, which is below the DNAME at `t.example.net.`",
        );
        // What the delegated zone holds is not known here.
        check("m MX 1 x.t\nt NS a.\n", "");
        check(
            "m SRV 0 0 1 t\n",
            "SRV record of `m.example.net.` points at `t.example.net.`, which does not exist in this zone",
        );
        check("@ NS t\n", "NS record of `example.net.` points at `t.example.net.`, which does not exist in this zone");
        check("m MX 1 192.0.2.1\n", "MX record of `m.example.net.` points at an address, expected a name");
    }

    #[test]
    fn section_9_an_rrset_fits_into_a_message() {
        // Header and question take 31 octets, and each record 12 + 255.
        let records =
            |count: usize| (0..count).map(|n| format!("a TXT {:x>254}\n", format!("{n:04}"))).collect::<String>();
        check_problems(&records(245), &[]);
        check_problems(
            &records(246),
            &[
                "4:1+1 warning: 246 TXT records at `a.example.net.` need a response of 65713 octets, above 65535, the most there can be (hint: write fewer or shorter records: these are answered to nobody)",
            ],
        );
    }
}

mod rfc2308 {
    use super::*;

    #[test]
    fn section_4_ttl_directive() {
        check(
            "$TTL 60\na TXT x\n$TTL 1h\nb TXT x\n",
            &["a.example.net. 60 TXT \"x\"", "b.example.net. 3600 TXT \"x\""],
        );
        check_problems("$TTL 2147483648\n", &["4:6+10 error: TTL `2147483648` above 2147483647, the largest"]);
    }
}

mod rfc6672 {
    use super::*;

    #[test]
    fn section_2_4_nothing_below_a_dname() {
        check_problems("d DNAME a.\nd TXT x\n", &[]);
        check_problems(
            "d DNAME a.\nd DNAME b.\n",
            &["5:9+2 error: second DNAME record at `d.example.net.`, expected one (the first one: 4:4:9)"],
        );
        check_problems(
            "d DNAME a.\nx.d A 192.0.2.1\n  TXT x\ny.x.d TXT x\ndd TXT x\n",
            &[
                "5:1+3 error: A record at `x.d.example.net.`, below the DNAME at `d.example.net.` (the DNAME: 4:4:1)",
                "7:1+5 error: TXT record at `y.x.d.example.net.`, below the DNAME at `d.example.net.` (the DNAME: 4:4:1)",
            ],
        );
        // Whatever is between comes later or not at all.
        check_problems(
            "@ DNAME a.\nz.y.x TXT x\ny.x TXT x\n",
            &[
                "5:1+5 error: TXT record at `z.y.x.example.net.`, below the DNAME at `example.net.` (the DNAME: 4:4:1)",
                "6:1+3 error: TXT record at `y.x.example.net.`, below the DNAME at `example.net.` (the DNAME: 4:4:1)",
            ],
        );
        let hashed = "2t7b4g4vsa5smi47k61mv5bv1a22bojr NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A\n";
        check_problems(&format!("@ DNAME a.\n{hashed}"), &[]);
    }
}
