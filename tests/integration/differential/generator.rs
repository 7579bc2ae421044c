//! Zones made at random: the same for the same seed.

use std::fmt::Write;

use concierge::dns::Name;

/// A parent zone, a child of it that is served beside it, and a zone elsewhere that chains lead to.
pub(super) fn zones(seed: u64) -> Vec<(Name, String)> {
    let mut random = Random(seed);
    let apexes = ["gen.test.", "b.gen.test.", "c.a.gen.test.", "away.test."];
    apexes.iter().map(|apex| (Name::parse(apex, None).unwrap(), zone(&mut random, apex, &apexes))).collect()
}

/// One zone: a tree of names from few labels, so that wildcards, cuts and chains meet.
fn zone(random: &mut Random, apex: &str, apexes: &[&str]) -> String {
    let mut text = format!(
        "$TTL {}\n{apex} SOA ns.{apex} host.{apex} 1 7200 900 1209600 {}\n{apex} NS ns.{apex}\n{apex} NS ns.away.test.\n\
         ns.{apex} A 192.0.2.1\n",
        100 + random.below(900),
        random.below(2000),
    );
    // The delegations of the zones that are served beside this one.
    let below = |other: &str| other != apex && other.ends_with(&format!(".{apex}"));
    let mut closed: Vec<String> = vec![format!("ns.{apex}")];
    for child in apexes.iter().filter(|other| below(other)) {
        closed.push((*child).to_owned());
        let _ = writeln!(text, "{child} NS ns.{child}\n{child} NS ns.{apex}\nns.{child} A 192.0.2.2");
        if random.below(2) == 0 {
            let _ = writeln!(text, "{child} DS 1 13 2 {:064x}", random.next());
        }
    }
    let mut open = vec![apex.to_owned()];
    for _ in 0..60 {
        let parent = open[random.below(open.len() as u64) as usize].clone();
        let label = random.pick(&["a", "b", "c", "d", "e", "B", "*", "*", "x", "ns", "www"]);
        let name = format!("{label}.{parent}");
        let lower = name.to_ascii_lowercase();
        let known = closed.iter().any(|other| lower == *other || lower.ends_with(&format!(".{other}")));
        let taken = open.iter().any(|other| other.eq_ignore_ascii_case(&name));
        let is_above = closed.iter().any(|other| other.ends_with(&format!(".{lower}")));
        if known || taken || name.len() > 200 {
            continue;
        }
        let target = random.target(&open, apexes);
        match random.below(16) {
            // Nothing may stand below a cut or a DNAME, or beside a cut or a CNAME.
            0 | 1 if label != "*" && !is_above => {
                let inside = random.pick(&["ns", "a", "a.b"]);
                let _ = writeln!(text, "{name} NS {inside}.{name}\n{name} NS {target}\n{inside}.{name} A 192.0.2.3");
                if random.below(2) == 0 {
                    let _ = writeln!(text, "{inside}.{name} AAAA 2001:db8::3");
                }
                if random.below(2) == 0 {
                    let _ = writeln!(text, "{name} DS 2 13 2 {:064x}", random.next());
                }
                closed.push(lower);
            }
            2 | 3 if label != "*" && !is_above => {
                let _ = writeln!(text, "{name} DNAME {target}");
                if random.below(2) == 0 {
                    let _ = writeln!(text, "{name} TXT \"beside\"");
                }
                closed.push(lower);
            }
            4..=8 => {
                let _ = writeln!(text, "{name} CNAME {target}");
                open.push(name);
            }
            9 => open.push(name),
            kind => {
                for n in 0..=random.below(3) {
                    let _ = writeln!(text, "{name} A 198.51.100.{n}");
                }
                if kind > 12 {
                    let _ = writeln!(text, "{name} MX 10 {target}\n{name} TXT \"{kind}\" \"text\"");
                }
                open.push(name);
            }
        }
    }
    text
}

struct Random(u64);

impl Random {
    /// The generator of Steele, Lea and Flood (SplitMix64).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A name to point at: often one that exists, or is near one, or in another zone.
    fn target(&mut self, open: &[String], apexes: &[&str]) -> String {
        let known = open[self.below(open.len() as u64) as usize].clone();
        let apex = self.pick(apexes).to_owned();
        let label = self.pick(&["a", "b", "c", "x", "ns", "www"]);
        match self.below(8) {
            0..=3 => known,
            4 => format!("{label}.{known}"),
            5 => format!("{label}.{apex}"),
            6 => apex,
            _ => format!("{label}.example.net."),
        }
    }
}
