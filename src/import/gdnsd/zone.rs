//! gdnsd's zone files: master files with `DYNA` and `DYNC` records, `@Z` and `@F`.

use std::fmt::Write as _;

/// A `DYNA` or `DYNC` record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dynamic {
    /// The owner name, absolute.
    pub(super) owner: String,
    /// The plugin and its resource.
    pub(super) plugin: String,
    pub(super) resource: Option<String>,
    /// Seconds; `None` for the default of the zone.
    pub(super) ttl: Option<u64>,
    /// Seconds, if they are written.
    pub(super) least: Option<u64>,
}

/// What takes the place of a dynamic record in the master file.
pub(super) enum Place {
    /// A comment: the policy answers it.
    Policy(String),
    /// Records of this type and RDATA.
    Records(Vec<(&'static str, String)>),
}

/// A zone as it was read.
pub(super) struct Zone {
    /// The apex, absolute.
    pub(super) apex: String,
    lines: Vec<Line>,
    has_ttl: bool,
    /// Files that it includes.
    pub(super) includes: Vec<String>,
}

enum Line {
    /// Text as it is; the owner, where the line leaves it out and the line before it has one.
    Text(String),
    /// A record without an owner of its own, and what that is.
    Inherits(String, String),
    Dynamic(Dynamic),
}

impl Zone {
    /// Reads the file of the zone `apex`, which ends with a dot.
    pub(super) fn read(apex: &str, text: &str) -> Self {
        let mut zone = Self { apex: apex.into(), lines: Vec::new(), has_ttl: false, includes: Vec::new() };
        let mut origin = apex.to_owned();
        let mut ttl = None;
        let mut owner = apex.to_owned();
        for line in logical_lines(text) {
            let line = replace_special(&line, apex);
            let tokens = tokens(&line);
            let first = tokens.first().map(|token| token.to_ascii_uppercase());
            match first.as_deref() {
                Some("$ORIGIN") => {
                    origin = tokens.get(1).map_or(origin.clone(), |name| absolute(name, &origin));
                }
                Some("$TTL") => {
                    zone.has_ttl = true;
                    ttl = tokens.get(1).and_then(|text| read_ttl(text));
                }
                Some("$INCLUDE") => zone.includes.extend(tokens.get(1).cloned()),
                _ => {}
            }
            if first.as_ref().is_none_or(|first| first.starts_with('$')) {
                zone.lines.push(Line::Text(line));
                continue;
            }
            let inherits = line.starts_with([' ', '\t']);
            if !inherits {
                owner = tokens.first().map_or(owner.clone(), |name| absolute(name, &origin));
            }
            let rest = &tokens[usize::from(!inherits)..];
            match dynamic(&owner, rest, ttl) {
                Some(dynamic) => zone.lines.push(Line::Dynamic(dynamic)),
                None if inherits => zone.lines.push(Line::Inherits(owner.clone(), line)),
                None => zone.lines.push(Line::Text(line)),
            }
        }
        zone
    }

    /// The records that plugins answer.
    pub(super) fn dynamic(&self) -> impl Iterator<Item = &Dynamic> {
        self.lines.iter().filter_map(|line| match line {
            Line::Dynamic(dynamic) => Some(dynamic),
            Line::Text(_) | Line::Inherits(..) => None,
        })
    }

    /// The master file; `places` are what the dynamic records become, in their order.
    pub(super) fn write(&self, places: Vec<Place>, default_ttl: u64) -> String {
        let mut text = String::new();
        if !self.has_ttl {
            let _ = writeln!(text, "$TTL {default_ttl} ; gdnsd's `zones_default_ttl`");
        }
        let mut places = places.into_iter();
        // Whether the line before is one whose owner went.
        let mut lost = false;
        for line in &self.lines {
            match line {
                Line::Text(line) => {
                    let _ = writeln!(text, "{line}");
                    lost = lost && (line.trim().is_empty() || line.trim_start().starts_with(['$', ';']));
                }
                Line::Inherits(owner, line) if lost => {
                    let _ = writeln!(text, "{owner}{line}");
                    lost = false;
                }
                Line::Inherits(_, line) => {
                    let _ = writeln!(text, "{line}");
                }
                Line::Dynamic(dynamic) => match places.next() {
                    Some(Place::Records(records)) => {
                        let ttl = dynamic.ttl.map(|ttl| format!(" {ttl}")).unwrap_or_default();
                        for (rtype, rdata) in records {
                            let _ = writeln!(text, "{}{ttl} {rtype} {rdata}", dynamic.owner);
                        }
                        lost = false;
                    }
                    Some(Place::Policy(sentence)) => {
                        let _ = writeln!(text, "; {}: {sentence}", dynamic.owner);
                        lost = true;
                    }
                    None => lost = true,
                },
            }
        }
        text
    }
}

fn dynamic(owner: &str, tokens: &[String], default_ttl: Option<u64>) -> Option<Dynamic> {
    let at =
        tokens.iter().position(|token| token.eq_ignore_ascii_case("DYNA") || token.eq_ignore_ascii_case("DYNC"))?;
    // Before the type stand a TTL and the class, in either order; anything else is another type's RDATA.
    let before = tokens[..at].iter().filter(|token| !token.eq_ignore_ascii_case("IN"));
    let mut ttl = (default_ttl, None);
    for token in before {
        let (most, least) = match token.split_once('/') {
            Some((most, least)) => (most, Some(read_ttl(least)?)),
            None => (token.as_str(), None),
        };
        ttl = (Some(read_ttl(most)?), least);
    }
    let (plugin, resource) = match tokens.get(at + 1)?.split_once('!') {
        Some((plugin, resource)) => (plugin.to_owned(), Some(resource.to_owned())),
        None => (tokens[at + 1].clone(), None),
    };
    Some(Dynamic { owner: owner.into(), plugin, resource, ttl: ttl.0, least: ttl.1 })
}

/// Seconds, or numbers with units: `1h30m`.
fn read_ttl(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let mut total = 0u64;
    let mut digits = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
        digits.clear();
    }
    (digits.is_empty() && !text.is_empty()).then_some(total)
}

/// `name` below `origin`, which ends with a dot.
fn absolute(name: &str, origin: &str) -> String {
    match name {
        "@" => origin.into(),
        _ if name.ends_with('.') => name.to_ascii_lowercase(),
        _ if origin == "." => format!("{name}.").to_ascii_lowercase(),
        _ => format!("{name}.{origin}").to_ascii_lowercase(),
    }
}

/// Whether an octet belongs to a quoted text, a comment, or neither.
fn scan(text: &str, mut each: impl FnMut(usize, char, bool)) {
    let (mut quoted, mut comment, mut escaped) = (false, false, false);
    for (at, c) in text.char_indices() {
        let was_escaped = escaped;
        escaped = c == '\\' && !was_escaped && !comment;
        match c {
            '\n' => comment = false,
            '"' if !was_escaped && !comment => quoted = !quoted,
            ';' if !was_escaped && !quoted => comment = true,
            _ => {}
        }
        each(at, c, !quoted && !comment && !was_escaped);
    }
}

/// Lines, of which one inside parentheses goes on.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut open = 0usize;
    scan(text, |at, c, plain| match c {
        '(' if plain => open += 1,
        ')' if plain => open = open.saturating_sub(1),
        '\n' if open == 0 => {
            lines.push(text[start..at].trim_end_matches('\r').to_owned());
            start = at + 1;
        }
        _ => {}
    });
    if start < text.len() {
        lines.push(text[start..].to_owned());
    }
    lines
}

/// The words of a line, without comments and parentheses.
fn tokens(line: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut in_comment = false;
    let mut was_quoted = false;
    scan(line, |_, c, plain| {
        in_comment = (in_comment && c != '\n') || (c == ';' && !plain && !was_quoted);
        was_quoted = !plain && !in_comment;
        match c {
            _ if in_comment => {}
            '(' | ')' if plain => tokens.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c if c.is_whitespace() && plain => tokens.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    });
    tokens.extend((!word.is_empty()).then_some(word));
    tokens
}

/// `@Z` and `@F`, alone or as a last label, as the apex; what a zone includes is not read here, so that both are the same.
fn replace_special(line: &str, apex: &str) -> String {
    let mut plain = vec![false; line.len()];
    scan(line, |at, _, is_plain| plain[at] = is_plain);
    let octets = line.as_bytes();
    let mut text = String::new();
    let mut done = 0;
    for at in 0..line.len() {
        let special = octets[at] == b'@' && matches!(octets.get(at + 1), Some(b'Z' | b'F')) && plain[at];
        let begins = at == 0 || octets[at - 1] == b'.' || octets[at - 1].is_ascii_whitespace();
        let ends = octets.get(at + 2).is_none_or(|octet| octet.is_ascii_whitespace() || b");".contains(octet));
        if special && begins && ends {
            text.push_str(&line[done..at]);
            text.push_str(apex);
            done = at + 2;
        }
    }
    text + &line[done..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dynamics(text: &str) -> Vec<String> {
        let zone = Zone::read("example.com.", text);
        let show = |d: &Dynamic| {
            let resource = d.resource.clone().unwrap_or_default();
            format!("{} {:?} {:?} {}!{resource}", d.owner, d.ttl, d.least, d.plugin)
        };
        zone.dynamic().map(show).collect()
    }

    #[test]
    fn dynamic_records_are_found_wherever_they_stand() {
        let check = |text: &str, expected: &[&str]| assert_eq!(dynamics(text), expected, "{text}");
        check("www 300/30 DYNA multifo!a", &["www.example.com. Some(300) Some(30) multifo!a"]);
        check("@ DYNA reflect", &["example.com. None None reflect!"]);
        check("$TTL 1h\nw IN 5m dync metafo!a/b ; c", &["w.example.com. Some(300) None metafo!a/b"]);
        check("$TTL 1h\nw dyna a!b", &["w.example.com. Some(3600) None a!b"]);
        check("w A 192.0.2.1\n  DYNC a!b", &["w.example.com. None None a!b"]);
        check(
            "$ORIGIN sub\nw DYNA a!b\n$ORIGIN x.@Z\n@ DYNA c!d",
            &["w.sub.example.com. None None a!b", "x.example.com. None None c!d"],
        );
        check("w ( 60\n DYNA\n a!b ) ; end", &["w.example.com. Some(60) None a!b"]);
        check("w TXT \"x DYNA a!b\"", &[]);
        check("w TXT x DYNA", &[]);
        check("; w DYNA a!b", &[]);
    }

    #[test]
    fn a_line_that_inherits_the_owner_of_one_that_goes_is_given_it() {
        let check = |text: &str, expected: &str| {
            let zone = Zone::read("example.com.", text);
            let places = zone.dynamic().map(|_| Place::Policy("in the policy".into())).collect();
            assert_eq!(zone.write(places, 86_400), expected, "{text}");
        };
        check(
            "$TTL 60\nw DYNA a!b\n  MX 10 m\n  TXT \"t\"\nv A 192.0.2.1\n",
            "$TTL 60\n; w.example.com.: in the policy\nw.example.com.  MX 10 m\n  TXT \"t\"\nv A 192.0.2.1\n",
        );
        check("v A 192.0.2.1\n", "$TTL 86400 ; gdnsd's `zones_default_ttl`\nv A 192.0.2.1\n");
        check(
            "$TTL 1\n@Z A 192.0.2.1\nw CNAME x.@F ; @Z\nt TXT \"@Z\"",
            "$TTL 1\nexample.com. A 192.0.2.1\nw CNAME x.example.com. ; @Z\nt TXT \"@Z\"\n",
        );
    }

    #[test]
    fn a_record_takes_the_place_of_a_dynamic_one_that_never_changes() {
        let zone = Zone::read("example.com.", "$TTL 60\nw 30 DYNA static!a\n  MX 10 m");
        let text = zone.write(vec![Place::Records(vec![("A", "192.0.2.1".into())])], 0);
        assert_eq!(text, "$TTL 60\nw.example.com. 30 A 192.0.2.1\n  MX 10 m\n");
    }
}
