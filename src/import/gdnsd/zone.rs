//! gdnsd's zone files: master files with `DYNA` and `DYNC` records, `@Z` and `@F`.

use std::fmt::Write as _;

use super::super::Input;
use super::vscf::Include;

/// How deep files may include one another.
const DEEPEST: usize = 16;

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
    /// Files that it includes and that could not be read, and why.
    pub(super) unread: Vec<(String, String)>,
}

enum Line {
    /// Text as it is.
    Text(String),
    /// The beginning or the end of a file that is included: the text, and what a line after it does not inherit an owner from.
    Border(String),
    /// A record without an owner of its own, and what that is.
    Inherits(String, String),
    Dynamic(Dynamic),
}

/// Where in a file the reader is.
#[derive(Clone)]
struct At {
    /// The origin at the beginning of the file.
    file: String,
    origin: String,
    ttl: Option<u64>,
    owner: String,
}

impl Zone {
    /// Reads the file of the zone `apex`, which ends with a dot, and the files that it includes.
    pub(super) fn read(apex: &str, input: &Input, include: &mut Include<'_>) -> Self {
        let mut zone = Self { apex: apex.into(), lines: Vec::new(), has_ttl: false, unread: Vec::new() };
        let at = At { file: apex.into(), origin: apex.into(), ttl: None, owner: apex.into() };
        zone.read_file(input, include, at, 0);
        zone
    }

    /// Reads one file, and says with which default TTL it ends.
    fn read_file(&mut self, input: &Input, include: &mut Include<'_>, mut at: At, depth: usize) -> Option<u64> {
        for line in logical_lines(&input.text) {
            let line = replace_special(&line, &self.apex, &at.file);
            let tokens = tokens(&line);
            let first = tokens.first().map(|token| token.to_ascii_uppercase());
            match first.as_deref() {
                Some("$ORIGIN") => {
                    at.origin = tokens.get(1).map_or(at.origin.clone(), |name| absolute(name, &at.origin));
                }
                Some("$TTL") => {
                    self.has_ttl = true;
                    at.ttl = tokens.get(1).and_then(|text| read_ttl(text));
                }
                Some("$INCLUDE") => {
                    self.read_included(&line, &tokens, input, include, &at, depth);
                    continue;
                }
                _ => {}
            }
            if first.as_ref().is_none_or(|first| first.starts_with('$')) {
                self.lines.push(Line::Text(line));
                continue;
            }
            let inherits = line.starts_with([' ', '\t']);
            if !inherits {
                at.owner = tokens.first().map_or(at.owner.clone(), |name| absolute(name, &at.origin));
            }
            let rest = &tokens[usize::from(!inherits)..];
            self.lines.push(match dynamic(&at.owner, rest, at.ttl) {
                Some(dynamic) => Line::Dynamic(dynamic),
                None if inherits => Line::Inherits(at.owner.clone(), line),
                None => Line::Text(line),
            });
        }
        at.ttl
    }

    /// Puts what a file holds in the place of the line that includes it. Origin, owner and default TTL are the includer's
    /// again after it.
    fn read_included(
        &mut self,
        line: &str,
        tokens: &[String],
        includer: &Input,
        include: &mut Include<'_>,
        at: &At,
        depth: usize,
    ) {
        let path = tokens.get(1).map(|path| path.trim_matches('"')).unwrap_or_default();
        let read = match depth {
            DEEPEST => Err(format!("files are included more than {DEEPEST} deep")),
            _ => include(&includer.name, path).and_then(|files| match <[Input; 1]>::try_from(files) {
                Ok([file]) => Ok(file),
                Err(files) => Err(format!("{} files are called so, expected one", files.len())),
            }),
        };
        let file = match read {
            Ok(file) => file,
            Err(why) => {
                self.unread.push((path.into(), why));
                self.lines.push(Line::Text(line.into()));
                return;
            }
        };
        let origin = tokens.get(2).map_or(at.origin.clone(), |name| absolute(name, &at.origin));
        self.lines.push(Line::Border(format!("; {path} begins, which was included here\n$ORIGIN {origin}")));
        let inside = At { file: origin.clone(), origin, ..at.clone() };
        let ttl = self.read_file(&file, include, inside, depth + 1);
        let mut end = format!("; {path} ends\n$ORIGIN {}", at.origin);
        if let Some(before) = at.ttl.filter(|_| ttl != at.ttl) {
            let _ = write!(end, "\n$TTL {before}");
        }
        self.lines.push(Line::Border(end));
    }

    /// The records that plugins answer.
    pub(super) fn dynamic(&self) -> impl Iterator<Item = &Dynamic> {
        self.lines.iter().filter_map(|line| match line {
            Line::Dynamic(dynamic) => Some(dynamic),
            Line::Text(_) | Line::Border(_) | Line::Inherits(..) => None,
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
                Line::Border(line) => {
                    let _ = writeln!(text, "{line}");
                    lost = true;
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

/// `@Z` and `@F`, alone or as a last label, as the apex, and as the origin at the beginning of the file.
fn replace_special(line: &str, apex: &str, file: &str) -> String {
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
            text.push_str(if octets[at + 1] == b'Z' { apex } else { file });
            done = at + 2;
        }
    }
    text + &line[done..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Zone {
        read_with(text, &[])
    }

    fn read_with(text: &str, files: &[(&str, &str)]) -> Zone {
        let input = |name: &str, text: &str| Input { name: name.into(), text: text.into() };
        let mut include = |_: &str, path: &str| {
            let found = files.iter().find(|(name, _)| *name == path);
            found.map(|(name, text)| vec![input(name, text)]).ok_or_else(|| "no such file".to_owned())
        };
        Zone::read("example.com.", &input("example.com", text), &mut include)
    }

    fn dynamics(text: &str) -> Vec<String> {
        dynamics_of(&read(text))
    }

    fn dynamics_of(zone: &Zone) -> Vec<String> {
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
            let zone = read(text);
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
        let zone = read("$TTL 60\nw 30 DYNA static!a\n  MX 10 m");
        let text = zone.write(vec![Place::Records(vec![("A", "192.0.2.1".into())])], 0);
        assert_eq!(text, "$TTL 60\nw.example.com. 30 A 192.0.2.1\n  MX 10 m\n");
    }

    /// The example of gdnsd's manual, and what a file that is included leaves behind.
    #[test]
    fn what_a_file_includes_stands_in_its_place() {
        let files = [
            (
                "includes/foo",
                "$ORIGIN bar\nasdf A 192.0.2.1\n$ORIGIN baz.@F\nasdf DYNA a!b\n$ORIGIN quux.@Z\nasdf DYNA c!d\n",
            ),
            ("ttl", "$TTL 5\nw DYNA e!f\n  MX 10 m\n"),
        ];
        let zone = read_with(
            "$TTL 60\nv A 192.0.2.9\n$INCLUDE includes/foo foo\n  TXT \"v\"\n$INCLUDE \"ttl\"\nx DYNA g!h\n",
            &files,
        );
        let expected = [
            "asdf.baz.foo.example.com. Some(60) None a!b",
            "asdf.quux.example.com. Some(60) None c!d",
            "w.example.com. Some(5) None e!f",
            "x.example.com. Some(60) None g!h",
        ];
        assert_eq!(dynamics_of(&zone), expected);
        let places = zone.dynamic().map(|_| Place::Policy("in the policy".into())).collect();
        let expected = "$TTL 60\nv A 192.0.2.9\n\
            ; includes/foo begins, which was included here\n$ORIGIN foo.example.com.\n$ORIGIN bar\nasdf A 192.0.2.1\n\
            $ORIGIN baz.foo.example.com.\n; asdf.baz.foo.example.com.: in the policy\n$ORIGIN quux.example.com.\n\
            ; asdf.quux.example.com.: in the policy\n; includes/foo ends\n$ORIGIN example.com.\n\
            v.example.com.  TXT \"v\"\n; ttl begins, which was included here\n$ORIGIN example.com.\n$TTL 5\n\
            ; w.example.com.: in the policy\nw.example.com.  MX 10 m\n; ttl ends\n$ORIGIN example.com.\n$TTL 60\n\
            ; x.example.com.: in the policy\n";
        assert_eq!(zone.write(places, 0), expected);
    }

    #[test]
    fn what_cannot_be_included_is_kept_and_said() {
        let zone = read("$TTL 60\n$INCLUDE gone\nw A 192.0.2.1\n");
        assert_eq!(zone.unread, [("gone".to_owned(), "no such file".to_owned())]);
        assert_eq!(zone.write(Vec::new(), 0), "$TTL 60\n$INCLUDE gone\nw A 192.0.2.1\n");
        let zone = read_with("$INCLUDE loop\n", &[("loop", "$INCLUDE loop\n")]);
        assert_eq!(zone.unread, [("loop".to_owned(), "files are included more than 16 deep".to_owned())]);
    }
}
