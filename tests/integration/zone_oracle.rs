//! Master files against BIND and ldns: what they accept and refuse, and the same records octet for octet.
//!
//! `corpus/zone/accept` holds zones that are read by all, `corpus/zone/refuse` those that are read by none; each list
//! below names the files where a tool differs by design, with the reason. The records are compared in wire form: BIND
//! writes it itself (`named-compilezone -F raw`), ldns as RFC 3597 has it (`ldns-read-zone -U`). What `display_rdata`
//! writes goes through BIND once more.

#![expect(clippy::disallowed_methods, reason = "I/O shell: the corpus and scratch files")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use concierge::diagnostic::{Diagnostic, Severity};
use concierge::dns::{Name, Rtype};
use concierge::zone::{self, Rrset, Zone, display_rdata};

/// Files of `accept` that BIND 9.18 reads otherwise.
const BIND_DIFFERS: &[(&str, &str)] = &[
    ("apex-servers", "BIND refuses name servers of the apex without an address, here they are warned of"),
    ("ttl-differs", "BIND takes the first TTL of an RRset for all of it, here the lowest is taken (RFC 2181 5.2)"),
];

/// Files of `accept` that ldns reads otherwise or not at all.
const LDNS_DIFFERS: &[(&str, &str)] = &[
    ("2.0.192.in-addr.arpa", "ldns has no $GENERATE"),
    ("generate", "ldns has no $GENERATE"),
    ("include", "ldns has no $INCLUDE"),
    (
        "layout-beyond-ldns",
        "ldns reads no line that starts inside parentheses, and takes a quote inside a word for itself",
    ),
    ("origin", "ldns takes the name of $ORIGIN as absolute and knows the directive in capitals only"),
    ("out-of-zone", "ldns has no apex and so nothing is outside"),
    ("soa-minimum-ttl", "ldns takes 3600 where no TTL is known"),
    ("ttl-and-class", "ldns reads a TTL before the class only"),
    ("types-beyond-ldns", "types and escapes that ldns 1.8 does not read"),
];

/// Files of `refuse` that BIND accepts.
const BIND_ACCEPTS: &[(&str, &str)] = &[
    ("cut-below", "BIND loads occluded data and never answers it"),
    ("cut-beside", "BIND loads occluded data and never answers it"),
    ("differs-dnskey-words", "flags of keys are numbers in RFC 4034 2.2"),
    ("differs-hash-text", "`\\#` starts RDATA of RFC 3597, as text it is quoted"),
    ("differs-old-formats", "WKS, NXT and A6 are read as RFC 3597 has it only"),
    ("differs-signature-2106", "a date that its 32 bits cannot hold"),
    ("differs-svcb-empty-ech", "a list of configurations is not empty (RFC 9848)"),
    ("differs-svcb-key-65535", "the key is reserved as invalid (RFC 9460 14.3.2)"),
    ("differs-uri-empty", "the target is not empty (RFC 7553 4.4)"),
    ("dname-below", "BIND loads data below a DNAME and never answers it (RFC 6672 2.4)"),
    ("dname-below-apex", "BIND loads data below a DNAME and never answers it (RFC 6672 2.4)"),
    ("owner-quoted", "names have no quotes (RFC 1035 5.1)"),
];

/// Files of `refuse` that BIND refuses without naming each line. ldns, which knows few of a zone's rules, is no judge of
/// what is refused.
const BIND_ELSEWHERE: &[(&str, &str)] = &[
    ("cname-at-apex", "BIND blames the records beside the CNAME that come after it"),
    ("empty", "what is missing has no line there"),
    ("no-ns", "what is missing has no line there"),
    ("no-soa", "what is missing has no line there"),
    ("rdata-too-long", "BIND names the file only"),
    ("ttl-bad", "BIND names the file only"),
    ("unclosed-parenthesis", "BIND names the end of the file"),
    ("unclosed-parenthesis-soa", "BIND names the first word that is too many"),
    ("unclosed-quote-in-parentheses", "BIND forgets the parenthesis with the quote"),
];

/// Owner in lower case, type, TTL and RDATA.
type Records = BTreeSet<(String, u16, u32, Vec<u8>)>;

#[test]
fn accepted_zones_have_the_records_that_bind_reads() {
    compare("accept", BIND_DIFFERS, bind_records);
}

#[test]
fn accepted_zones_have_the_records_that_ldns_reads() {
    compare("accept", LDNS_DIFFERS, ldns_records);
}

/// Compares every file with what a tool reads, but for those listed, which must differ.
fn compare(half: &str, differing: &[(&'static str, &'static str)], tool: fn(&Path) -> Result<Records, String>) {
    let mut problems = Vec::new();
    for file in corpus(half) {
        let ours = records(&accepted(&file));
        let problem = match (tool(&file), reason(differing, &file)) {
            (Ok(theirs), None) => difference(&ours, &theirs),
            (Ok(theirs), Some(reason)) => {
                (ours == theirs).then(|| format!("no difference, though listed with: {reason}"))
            }
            (Err(error), None) => Some(format!("refused: {error}")),
            (Err(_), Some(_)) => None,
        };
        problems.extend(problem.map(|problem| format!("{}: {problem}", file.display())));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

#[test]
fn displayed_records_are_read_by_bind_as_the_same() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut problems = Vec::new();
    for file in corpus("accept") {
        let zone = accepted(&file);
        let written = folder.path().join(file.file_name().expect("a file's name"));
        fs::write(&written, displayed(&zone)).expect("the scratch folder is writable");
        let problem = match bind_records(&written) {
            Ok(theirs) => difference(&records(&zone), &theirs),
            Err(_) if reason(BIND_DIFFERS, &file).is_some() => None,
            Err(error) => Some(error),
        };
        problems.extend(problem.map(|problem| format!("{}: {problem}", file.display())));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// The first lines of a refused file are its errors, as `; line:column phrase`.
#[test]
fn refused_zones_are_refused_at_the_right_places() {
    let mut problems = Vec::new();
    for file in corpus("refuse") {
        let (zone, diagnostics) = read(&file);
        assert!(zone.is_none(), "{}: accepted", file.display());
        let found: Vec<_> = diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .map(|diagnostic| {
                let place = diagnostic.place.as_ref().expect("an error of a zone has a place");
                let path = place.path.file_name().filter(|name| Some(*name) != file.file_name());
                let path = path.map(|name| format!("{}:", name.to_string_lossy())).unwrap_or_default();
                format!("; {path}{}:{} {}", place.line, place.column, diagnostic.message)
            })
            .collect();
        let text = fs::read(&file).expect("a file of the corpus");
        let text = String::from_utf8_lossy(&text);
        let expected: Vec<_> = text.lines().take_while(|line| line.starts_with("; ")).collect();
        if found != expected {
            problems.push(format!("{}\n{}", file.display(), found.join("\n")));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// BIND too goes on after an error: every line that is blamed here is blamed there.
#[test]
fn refused_lines_are_refused_by_bind() {
    let mut problems = Vec::new();
    for file in corpus("refuse") {
        let problem = match (bind_records(&file), reason(BIND_ACCEPTS, &file)) {
            (Ok(_), None) => Some("accepted by BIND".to_owned()),
            (Err(error), Some(reason)) => Some(format!("listed with: {reason}; yet refused by BIND: {error}")),
            (Ok(_), Some(_)) => None,
            (Err(error), None) => {
                let accepted: Vec<_> = lines_here(&file).difference(&lines_there(&file, &error)).copied().collect();
                match (accepted.as_slice(), reason(BIND_ELSEWHERE, &file)) {
                    ([], None) | ([_, ..], Some(_)) => None,
                    ([], Some(reason)) => Some(format!("no difference, though listed with: {reason}")),
                    (lines, None) => Some(format!("lines {lines:?} are not blamed by BIND: {error}")),
                }
            }
        };
        problems.extend(problem.map(|problem| format!("{}: {problem}", file.display())));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The lines of a file's own errors.
fn lines_here(file: &Path) -> BTreeSet<usize> {
    let (_, diagnostics) = read(file);
    let errors = diagnostics.into_iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let places = errors.filter_map(|error| error.place);
    places.filter(|place| place.path.file_name() == file.file_name()).map(|place| place.line).collect()
}

/// The lines that BIND's messages name, as `path:line:`.
fn lines_there(file: &Path, messages: &str) -> BTreeSet<usize> {
    let path = format!("{}:", file.file_name().expect("a file's name").display());
    let places = messages.split(path.as_str()).skip(1);
    places.filter_map(|rest| rest.split_once(':')?.0.parse().ok()).collect()
}

/// The files of one half of the corpus.
fn corpus(half: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/corpus/zone").join(half);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let mut files: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "zone")).collect();
    files.sort();
    assert!(files.len() >= 20, "{} files in {}", files.len(), folder.display());
    files
}

/// The apex of a file: its name where that has a dot, the root for `root.zone`, else `example.net`.
fn apex(file: &Path) -> Name {
    let stem = stem(file);
    let text = match stem.as_str() {
        "root" => ".",
        stem if stem.contains('.') => stem,
        _ => "example.net",
    };
    Name::parse(text, Some(&Name::root())).expect("the name of a zone")
}

fn stem(file: &Path) -> String {
    file.file_stem().expect("a file's name").to_string_lossy().into_owned()
}

fn reason(list: &[(&'static str, &'static str)], file: &Path) -> Option<&'static str> {
    list.iter().find(|(name, _)| *name == stem(file)).map(|(_, reason)| *reason)
}

fn read(file: &Path) -> (Option<Zone>, Vec<Diagnostic>) {
    let (folder, name) = (file.parent().expect("a file of a folder"), file.file_name().expect("a file's name"));
    zone::read(Path::new(name), &apex(file), &mut |path| Ok(Box::new(fs::File::open(folder.join(path))?)))
}

fn accepted(file: &Path) -> Zone {
    let (zone, diagnostics) = read(file);
    let lines: Vec<_> = diagnostics.iter().map(ToString::to_string).collect();
    zone.unwrap_or_else(|| panic!("{}: refused:\n{}", file.display(), lines.join("\n")))
}

fn records(zone: &Zone) -> Records {
    zone.rrsets()
        .flat_map(|Rrset { owner, rtype, ttl, rdatas }| {
            let owner = owner.to_lowercase().to_string();
            rdatas.into_iter().map(move |rdata| (owner.clone(), rtype.0, ttl_of(rtype, ttl, &rdata), rdata.to_vec()))
        })
        .collect()
}

fn displayed(zone: &Zone) -> String {
    let mut text = String::new();
    for Rrset { owner, rtype, ttl, rdatas } in zone.rrsets() {
        for rdata in rdatas {
            text += &format!("{owner} {ttl} IN {rtype} {}\n", display_rdata(rtype, &rdata));
        }
    }
    text
}

fn difference(ours: &Records, theirs: &Records) -> Option<String> {
    let shown = |records: &mut dyn Iterator<Item = &(String, u16, u32, Vec<u8>)>| {
        let line = |(owner, rtype, ttl, rdata): &(String, u16, u32, Vec<u8>)| {
            format!("{owner} {ttl} {} {}", Rtype(*rtype), display_rdata(Rtype(*rtype), rdata))
        };
        records.map(line).collect::<Vec<_>>().join("\n")
    };
    let (mine, missing) = (shown(&mut ours.difference(theirs)), shown(&mut theirs.difference(ours)));
    (ours != theirs).then(|| format!("only here:\n{mine}\nonly there:\n{missing}"))
}

fn run(package: &str, command: &mut Command) -> Output {
    let program = command.get_program().to_string_lossy().into_owned();
    command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run `{program}`: {error}; it is in the Debian package `{package}`"))
}

/// The records that BIND makes of a file. Host names are not judged, and no name is looked up.
fn bind_records(file: &Path) -> Result<Records, String> {
    let mut command = Command::new("named-compilezone");
    command.args(["-k", "ignore", "-i", "local", "-F", "raw", "-o", "-"]).arg(apex(file).to_string());
    command.arg(file.file_name().expect("a file's name"));
    let output = run("bind9-utils", command.current_dir(file.parent().expect("a file of a folder")));
    if output.status.success() {
        Ok(raw_records(&output.stdout))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Reads BIND's raw format: a header of 24 octets, then for each RRset its length, class, type, covered type, TTL, count,
/// owner and RDATA, all in network order.
fn raw_records(octets: &[u8]) -> Records {
    let (mut at, mut records) = (24, Records::new());
    let take = |at: &mut usize, count: usize| {
        *at += count;
        &octets[*at - count..*at]
    };
    let number = |octets: &[u8]| octets.iter().fold(0_usize, |number, octet| number << 8 | usize::from(*octet));
    while at < octets.len() {
        take(&mut at, 6);
        let rtype = number(take(&mut at, 2)) as u16;
        take(&mut at, 2);
        let ttl = number(take(&mut at, 4)) as u32;
        let count = number(take(&mut at, 4));
        let length = number(take(&mut at, 2));
        let owner = Name::from_wire(take(&mut at, length)).expect("a name in wire form").to_lowercase().to_string();
        for _ in 0..count {
            let length = number(take(&mut at, 2));
            records.insert((owner.clone(), rtype, ttl, take(&mut at, length).to_vec()));
        }
    }
    // Signatures of one owner stand apart there, each with its own TTL.
    with_lowest_ttls(records)
}

/// The records that ldns makes of a file, which starts at no origin for it.
fn ldns_records(file: &Path) -> Result<Records, String> {
    let mut text = format!("$ORIGIN {}\n", apex(file)).into_bytes();
    text.extend(fs::read(file).expect("a file of the corpus"));
    let folder = tempfile::tempdir().expect("a scratch folder");
    let written = folder.path().join("zone");
    fs::write(&written, text).expect("the scratch folder is writable");
    let mut command = Command::new("ldns-read-zone");
    let output = run("ldnsutils", command.args(["-U", "NULL"]).arg(&written));
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let mut records = Records::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let [owner, ttl, "IN", rtype, "\\#", _, rdata @ ..] = words.as_slice() else {
            return Err(format!("a line not as expected: {line}"));
        };
        let owner = Name::parse(owner, None).expect("an absolute name").to_lowercase().to_string();
        let rtype = Rtype::parse(rtype).expect("a record type");
        let hex = rdata.concat();
        let octet = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
        let rdata = (0..hex.len()).step_by(2).map(octet).collect();
        records.insert((owner, rtype.0, ttl.parse().expect("a TTL"), rdata));
    }
    Ok(with_lowest_ttls(records))
}

/// A signature has the TTL of what it covers, which its RDATA holds (RFC 4034 3), whatever stands before it.
fn ttl_of(rtype: Rtype, ttl: u32, rdata: &[u8]) -> u32 {
    match rdata {
        [_, _, _, _, a, b, c, d, ..] if rtype == Rtype::RRSIG => u32::from_be_bytes([*a, *b, *c, *d]),
        _ => ttl,
    }
}

/// One TTL for each owner and type, as the zone has it.
fn with_lowest_ttls(records: Records) -> Records {
    let mut lowest = BTreeMap::new();
    for (owner, rtype, ttl, _) in &records {
        let known = lowest.entry((owner.clone(), *rtype)).or_insert(*ttl);
        *known = (*known).min(*ttl);
    }
    records
        .into_iter()
        .map(|(owner, rtype, _, rdata)| {
            let ttl = ttl_of(Rtype(rtype), lowest[&(owner.clone(), rtype)], &rdata);
            (owner, rtype, ttl, rdata)
        })
        .collect()
}
