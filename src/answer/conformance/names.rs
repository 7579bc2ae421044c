//! Which records answer a name: existing, missing, wildcard, alias, redirection.

use super::*;

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

mod rfc2308 {
    use super::*;
    use crate::answer::testing::rdata;
    use crate::dns::Rtype;
    use crate::zone::store::tree_of;

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
        let values = ["ns.example.org.", "host.example.org.", "7", "3600", "600", "86400", "60"];
        let soa = rdata(Rtype::SOA, &values, &name("short."));
        let short = tree_of(&name("short."), &[(name("short."), Rtype::SOA, 20, soa)]);
        let shown = ask(&snapshot(&[short], vec![]), &Ask::new("x.short. A"));
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
    fn section_3_3_3_a_wildcard_alias_is_followed() {
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
    fn section_3_2_a_redirection_to_its_own_owner() {
        let example = snapshot(&[zone("example.", "a.b DNAME b.example.")], vec![]);
        assert_eq!(
            ask(&example, &Ask::new("a.a.b.example. DNAME")),
            "NOERROR aa | a.b.example. 300 DNAME b.example., a.a.b.example. 300 CNAME a.b.example."
        );
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
