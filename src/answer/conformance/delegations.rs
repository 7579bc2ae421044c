//! Cuts, glue and DS; compression that reaches too far.

use super::*;

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
        assert!(!shown.contains(" DS "), "{shown}");
        let signed =
            zone("signed.", "@ DNSKEY 01010f0faa\nsub NS ns.sub\nns.sub A 192.0.2.1\nsub DS 00010d02aa\nno NS ns.sub");
        let signed = snapshot(&[signed], vec![]);
        let shown = |query: Ask| ask(&signed, &query);
        assert_eq!(
            shown(Ask::new("x.sub.signed. A").dnssec()),
            "NOERROR | - | sub.signed. 300 NS ns.sub.signed., sub.signed. 300 DS 00010d02aa | ns.sub.signed. 300 A 192.0.2.1"
        );
        assert!(!shown(Ask::new("x.sub.signed. A").edns()).contains(" DS "));
        assert!(!shown(Ask::new("x.no.signed. A").dnssec()).contains(" DS "));
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

    /// As Knot and NSD: what the zone would answer for the name server's address.
    #[test]
    fn section_3_2_addresses_from_a_wildcard() {
        let example = zone("example.", "sub NS a.wild\nsub NS b.wild\n*.wild A 192.0.2.1");
        assert_eq!(
            ask(&snapshot(&[example], vec![]), &Ask::new("x.sub.example. A")),
            "NOERROR | - | sub.example. 300 NS a.wild.example., sub.example. 300 NS b.wild.example. | \
             a.wild.example. 300 A 192.0.2.1, b.wild.example. 300 A 192.0.2.1"
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
