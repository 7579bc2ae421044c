//! Lines of tokens to records: owners, TTLs, classes, types and the directives.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::generate::{self, Counter, Template};
use super::lexer::{Kind, Lexer, Line, Token};
use super::rdata::{self, Cursor, Origins, RdataError as Fault, Word, bad_name, printable};
use super::report::{Mark, Problem, Report};
use super::tree::{Draft, Record};
use super::{Position, ttl};
use crate::diagnostic::{Severity, Source, closest};
use crate::dns::{Class, Name, Rtype};

/// Files open inside each other.
const MAX_DEPTH: usize = 20;
/// `$INCLUDE`s that one zone may follow, files read several times counted each time.
const MAX_INCLUSIONS: u32 = 10_000;
/// Offsets are kept in four octets.
const MAX_FILE: usize = u32::MAX as usize;

/// What the files say.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) draft: Draft,
    pub(super) report: Report,
    pub(super) files: Vec<Source>,
    /// Whether every line could be read: what is absent is then really not there.
    pub(super) complete: bool,
}

/// Reads a file and all that it includes.
pub(super) fn read(source: Source, apex: &Name, include: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>) -> Content {
    let content = Content { draft: Draft::default(), report: Report::default(), files: vec![source], complete: true };
    let mut reader = Reader {
        apex,
        include,
        content,
        open: vec![0],
        inclusions: 0,
        owner: Owner::Unknown,
        default_ttl: None,
        last_ttl: None,
        warned_of_ttl: false,
        generated: 0,
        rdata: Vec::new(),
    };
    reader.read_file(0, apex.clone());
    reader.content
}

/// The owner that a line starting with white space takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// No record came before.
    Unknown,
    /// It was written wrongly, which has been reported.
    Bad,
    /// A name outside the zone.
    Outside,
    /// One of the draft's owners.
    Inside(u32),
}

struct Reader<'a> {
    apex: &'a Name,
    include: &'a mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    content: Content,
    /// The files being read, from the outermost.
    open: Vec<u16>,
    inclusions: u32,
    owner: Owner,
    /// From `$TTL`, or from an SOA record without a TTL.
    default_ttl: Option<u32>,
    /// The last TTL that was written in a record (RFC 1035 5.1).
    last_ttl: Option<u32>,
    warned_of_ttl: bool,
    generated: u32,
    /// Reused from record to record.
    rdata: Vec<u8>,
}

/// One file while it is read.
struct Frame<'t> {
    file: u16,
    text: &'t [u8],
    origin: Name,
}

impl<'t> Frame<'t> {
    fn word(&self, token: &Token) -> Word<'t> {
        Word { text: token.text(self.text), span: token.span() }
    }

    /// A word that must stand without quotes.
    fn plain_word(&self, token: &Token, what: &str) -> Result<Word<'t>, Fault> {
        if token.kind == Kind::Plain {
            return Ok(self.word(token));
        }
        let message = format!("{what} in quotes: {}", printable(&self.text[token.span()]));
        Err(Fault::new(token.span(), message).hint("write it without quotes"))
    }

    fn mark(&self, token: &Token) -> Mark {
        Mark::new(self.file, token.span())
    }
}

/// What stands between the owner and the RDATA.
struct Header {
    ttl: Option<u32>,
    rtype: Rtype,
    /// The token that names the type.
    at: usize,
}

impl Reader<'_> {
    fn read_file(&mut self, file: u16, origin: Name) {
        let source = self.content.files[usize::from(file)].clone();
        if source.text.len() > MAX_FILE {
            return self.fail(file, Fault::new(0..0, "file larger than 4 GiB"));
        }
        let mut frame = Frame { file, text: &source.text, origin };
        let mut start = 0;
        if frame.text.starts_with("\u{feff}".as_bytes()) {
            start = 3;
            let fault = Fault::new(0..start, "byte order mark, expected plain text");
            self.fail(file, fault.hint("save the file as UTF-8 without a byte order mark"));
        }
        let (mut lexer, mut tokens) = (Lexer::starting_at(frame.text, start), Vec::new());
        while let Some(line) = lexer.next_line(&mut tokens) {
            if let Err(fault) = self.read_line(&mut frame, line, &tokens) {
                self.fail(file, fault);
            }
        }
    }

    fn fail(&mut self, file: u16, fault: Fault) {
        self.content.complete = false;
        self.content.report.push(Problem::of_text(Severity::Error, file, fault));
    }

    fn warn(&mut self, file: u16, fault: Fault) {
        self.content.report.push(Problem::of_text(Severity::Warning, file, fault));
    }

    fn read_line(&mut self, frame: &mut Frame<'_>, line: Line, tokens: &[Token]) -> Result<(), Fault> {
        if let Some(fault) = line.fault {
            // Records that follow without an owner belong to this one.
            if let Some(first) = tokens.first().filter(|first| !line.blank && !frame.word(first).text.starts_with(b"$"))
            {
                let _ = self.take_owner(frame, first);
            }
            return Err(fault);
        }
        let is_directive = |first: &Token| first.kind == Kind::Plain && frame.text[first.start] == b'$';
        match tokens {
            [first, arguments @ ..] if !line.blank && is_directive(first) => {
                self.read_directive(frame, line.number, first, arguments)
            }
            tokens => self.read_record(frame, &line, tokens),
        }
    }

    fn read_record(&mut self, frame: &Frame<'_>, line: &Line, tokens: &[Token]) -> Result<(), Fault> {
        let (head, rest) = match tokens {
            [first, rest @ ..] if !line.blank => {
                self.take_owner(frame, first)?;
                (Some(first), rest)
            }
            rest => (None, rest),
        };
        let end = head.map_or(tokens[0].start, |head| head.end);
        let header = header(frame, rest, head, end)?;
        let (at, fields) = (&rest[header.at], &rest[header.at + 1..]);
        let head = head.unwrap_or(at);
        if self.owner == Owner::Unknown {
            let message = "no record before this one has an owner, expected a name at the start of the line";
            return Err(Fault::new(head.span(), message).hint("`@` stands for the origin"));
        }

        let origins = Origins { origin: &frame.origin, apex: Some(self.apex) };
        let mut cursor = Cursor::new(frame.text, fields, at.end, origins);
        self.rdata.clear();
        rdata::scan_record(&mut cursor, header.rtype, &mut self.rdata)?;
        for warning in std::mem::take(&mut cursor.warnings) {
            self.warn(frame.file, warning);
        }
        let ttl = self.take_ttl(frame, &header, at)?;
        let body = match fields {
            [first, .., last] | [first @ last] => Mark::new(frame.file, first.start..last.end),
            [] => frame.mark(at),
        };
        match self.owner {
            Owner::Inside(owner) => self.content.draft.push(Record {
                owner,
                rtype: header.rtype,
                ttl,
                position: Position { file: frame.file, line: line.number },
                rdata: self.rdata.as_slice().into(),
                head: frame.mark(head),
                body,
            }),
            Owner::Outside => self.warn_outside(frame, head),
            Owner::Bad | Owner::Unknown => {}
        }
        Ok(())
    }

    fn warn_outside(&mut self, frame: &Frame<'_>, head: &Token) {
        let message = format!("record outside the zone `{}`, which is ignored", self.apex);
        self.warn(frame.file, Fault::new(head.span(), message));
    }

    fn take_owner(&mut self, frame: &Frame<'_>, token: &Token) -> Result<(), Fault> {
        self.owner = Owner::Bad;
        let word = frame.plain_word(token, "owner")?;
        let name =
            Name::parse_bytes(word.text, Some(&frame.origin)).map_err(|error| bad_name("owner", &word, error))?;
        let origins = Origins { origin: &frame.origin, apex: Some(self.apex) };
        if let Some(warning) = rdata::doubled_origin(&word, &name, origins) {
            self.warn(frame.file, warning);
        }
        self.owner = self.place_owner(name);
        Ok(())
    }

    fn place_owner(&mut self, name: Name) -> Owner {
        if name.is_at_or_below(self.apex) { Owner::Inside(self.content.draft.owner(name)) } else { Owner::Outside }
    }

    /// The TTL of a record: its own, that of `$TTL` (RFC 2308 4), the SOA's minimum, or that of the record before
    /// (RFC 1035 5.1).
    fn take_ttl(&mut self, frame: &Frame<'_>, header: &Header, at: &Token) -> Result<u32, Fault> {
        if let Some(ttl) = header.ttl {
            self.last_ttl = Some(ttl);
            return Ok(ttl);
        }
        if let Some(ttl) = self.default_ttl {
            return Ok(ttl);
        }
        if header.rtype == Rtype::SOA
            && self.last_ttl.is_none()
            && let Some(minimum) = self.rdata.last_chunk::<4>().map(|octets| u32::from_be_bytes(*octets).min(ttl::MAX))
        {
            let message = format!("no TTL: the SOA's minimum, {minimum}, is taken for it and for records without one");
            let hint = format!("write `$TTL {minimum}` before the first record");
            self.warn(frame.file, Fault::new(at.span(), message).hint(hint));
            self.default_ttl = Some(minimum);
            return Ok(minimum);
        }
        let Some(ttl) = self.last_ttl else {
            let fault = Fault::new(at.span(), "no TTL, and none before that could be taken");
            return Err(fault.hint("write `$TTL 3600` before the first record"));
        };
        if !self.warned_of_ttl {
            self.warned_of_ttl = true;
            let message = format!("no TTL: {ttl}, that of the record before, is taken here and for others without one");
            let fault = Fault::new(at.span(), message);
            self.warn(frame.file, fault.hint("write `$TTL` with the TTL meant before the first record"));
        }
        Ok(ttl)
    }

    fn read_directive(
        &mut self,
        frame: &mut Frame<'_>,
        number: u32,
        name: &Token,
        arguments: &[Token],
    ) -> Result<(), Fault> {
        let word = frame.word(name);
        let is = |directive: &str| word.text.eq_ignore_ascii_case(directive.as_bytes());
        if is("$ORIGIN") {
            let token = only(frame, name, arguments, "a domain name")?;
            frame.origin = self.read_origin(frame, &token)?;
            Ok(())
        } else if is("$TTL") {
            let token = only(frame, name, arguments, "a TTL such as `3600` or `1h`")?;
            self.default_ttl = Some(read_ttl(&frame.plain_word(&token, "TTL")?)?);
            Ok(())
        } else if is("$INCLUDE") {
            self.read_include(frame, name, arguments)
        } else if is("$GENERATE") {
            self.read_generate(frame, number, name, arguments)
        } else {
            let message = format!(
                "unknown directive `{}`, expected `$ORIGIN`, `$TTL`, `$INCLUDE` or `$GENERATE`",
                printable(word.text)
            );
            let fault = Fault::new(name.span(), message);
            Err(match closest(word.as_str(), ["$ORIGIN", "$TTL", "$INCLUDE", "$GENERATE"]) {
                Some(directive) => fault.hint(format!("did you mean `{directive}`?")),
                None => fault.hint("an owner name that starts with a dollar sign is written `\\$`"),
            })
        }
    }

    fn read_origin(&mut self, frame: &Frame<'_>, token: &Token) -> Result<Name, Fault> {
        let word = frame.plain_word(token, "origin")?;
        let origin =
            Name::parse_bytes(word.text, Some(&frame.origin)).map_err(|error| bad_name("origin", &word, error))?;
        let origins = Origins { origin: &frame.origin, apex: Some(self.apex) };
        if let Some(warning) = rdata::doubled_origin(&word, &origin, origins) {
            self.warn(frame.file, warning);
        }
        Ok(origin)
    }

    /// `$INCLUDE file [origin]`. The including file's origin and last owner stand again after it (RFC 1035 5.1).
    fn read_include(&mut self, frame: &Frame<'_>, name: &Token, arguments: &[Token]) -> Result<(), Fault> {
        let (token, origin) = match arguments {
            [token] => (token, frame.origin.clone()),
            [token, origin] => (token, self.read_origin(frame, origin)?),
            [] => return Err(missing_argument(frame, name, arguments, "a file name")),
            [_, _, surplus @ ..] => return Err(surplus_argument(frame, name, surplus)),
        };
        let mut written = Vec::new();
        let start = token.start + usize::from(token.kind == Kind::Quoted);
        rdata::unescape(token.text(frame.text), start, &mut written)?;
        let including = &self.content.files[usize::from(frame.file)].path;
        let path = including.parent().unwrap_or(Path::new("")).join(OsStr::from_bytes(&written));
        let shown = path.display();
        if self.open.iter().any(|open| is_same(&self.content.files[usize::from(*open)].path, &path)) {
            let chain: Vec<_> = self
                .open
                .iter()
                .map(|open| self.content.files[usize::from(*open)].path.display().to_string())
                .collect();
            let message = format!("`{shown}` includes itself: {} -> {shown}", chain.join(" -> "));
            return Err(Fault::new(token.span(), message));
        }
        if self.open.len() > MAX_DEPTH {
            return Err(Fault::new(token.span(), format!("more than {MAX_DEPTH} files included inside each other")));
        }
        self.inclusions += 1;
        if self.inclusions > MAX_INCLUSIONS {
            return Err(Fault::new(token.span(), format!("more than {MAX_INCLUSIONS} inclusions in one zone")));
        }
        let file = self.open_file(&path).map_err(|error| {
            Fault::new(token.span(), format!("cannot read `{shown}`: {error}"))
                .hint("a relative path starts at the folder of this file")
        })?;
        let owner = self.owner;
        self.open.push(file);
        self.read_file(file, origin);
        self.open.pop();
        self.owner = owner;
        Ok(())
    }

    /// The file's number; a file that was read before keeps its text.
    fn open_file(&mut self, path: &Path) -> io::Result<u16> {
        if let Some(known) = self.content.files.iter().position(|source| *source.path == *path) {
            return Ok(known as u16);
        }
        let text = (self.include)(path)?;
        self.content.files.push(Source { path: Arc::from(path), text: text.into() });
        Ok((self.content.files.len() - 1) as u16)
    }

    fn read_generate(
        &mut self,
        frame: &Frame<'_>,
        number: u32,
        name: &Token,
        arguments: &[Token],
    ) -> Result<(), Fault> {
        let (range, left, rest) = match arguments {
            [] => return Err(missing_argument(frame, name, arguments, "a range such as `1-10`")),
            [_] => return Err(missing_argument(frame, name, arguments, "an owner such as `host-$`")),
            [range, left, rest @ ..] => (range, left, rest),
        };
        let counter = Counter::parse(&frame.plain_word(range, "range")?)?;
        let header = header(frame, rest, None, left.end)?;
        let right = only(frame, &rest[header.at], &rest[header.at + 1..], "RDATA in one text")
            .map_err(|fault| fault.hint("put RDATA of several words in quotes"))?;
        self.generated = self.generated.saturating_add(counter.count());
        if self.generated > generate::MAX_RECORDS {
            let message = format!("more than {} generated records in one zone", generate::MAX_RECORDS);
            return Err(Fault::new(range.span(), message));
        }
        let owners = Template::parse(frame.plain_word(left, "owner")?.text, left.start)?;
        let rdatas = match right.kind {
            // Quotes inside the quoted text are escaped once for the line and not for the RDATA.
            Kind::Quoted => Template::parse(&unescape_quotes(right.text(frame.text)), right.start + 1)?,
            Kind::Plain | Kind::Pair => Template::parse(right.text(frame.text), right.start)?,
        };
        let owner = self.owner;
        let mut made = Generated { header, head: *left, body: right, position: number, text: Vec::new(), first: true };
        let result =
            counter.numbers().try_for_each(|number| self.generate_one(frame, &mut made, number, &owners, &rdatas));
        self.owner = owner;
        result
    }

    fn generate_one(
        &mut self,
        frame: &Frame<'_>,
        made: &mut Generated,
        number: u32,
        owners: &Template,
        rdatas: &Template,
    ) -> Result<(), Fault> {
        let blame =
            |token: &Token, message: String| Fault::new(token.span(), format!("with {number} for `$`: {message}"));
        let too_large = |token: &Token| blame(token, "number and offset are more than 2147483647".to_owned());
        owners.expand(number, &mut made.text).ok_or_else(|| too_large(&made.head))?;
        let name = Name::parse_bytes(&made.text, Some(&frame.origin))
            .map_err(|error| blame(&made.head, format!("bad owner `{}`: {error}", printable(&made.text))))?;
        rdatas.expand(number, &mut made.text).ok_or_else(|| too_large(&made.body))?;
        let mut tokens = Vec::new();
        let line = Lexer::new(&made.text).next_line(&mut tokens);
        let origins = Origins { origin: &frame.origin, apex: Some(self.apex) };
        let mut cursor = Cursor::new(&made.text, &tokens, made.text.len(), origins);
        self.rdata.clear();
        let scanned = match line.and_then(|line| line.fault) {
            Some(fault) => Err(fault),
            None => rdata::scan_record(&mut cursor, made.header.rtype, &mut self.rdata),
        };
        scanned.map_err(|fault| Fault { hint: fault.hint, ..blame(&made.body, fault.message) })?;
        let warning = cursor.warnings.pop().filter(|_| made.first);
        if let Some(warning) = warning {
            self.warn(frame.file, Fault { hint: warning.hint, ..blame(&made.body, warning.message) });
        }
        let ttl = self.take_ttl(frame, &made.header, &made.head)?;
        match self.place_owner(name) {
            Owner::Inside(owner) => self.content.draft.push(Record {
                owner,
                rtype: made.header.rtype,
                ttl,
                position: Position { file: frame.file, line: made.position },
                rdata: self.rdata.as_slice().into(),
                head: frame.mark(&made.head),
                body: frame.mark(&made.body),
            }),
            _ if made.first => self.warn_outside(frame, &made.head),
            _ => {}
        }
        made.first = false;
        Ok(())
    }
}

/// What the records of one `$GENERATE` share.
struct Generated {
    header: Header,
    head: Token,
    body: Token,
    position: u32,
    text: Vec<u8>,
    /// Whether no record was made yet: warnings are given once.
    first: bool,
}

/// Reads `[TTL] [class] type` or `[class] [TTL] type` from the start of `tokens`; `end` is where what is before them
/// ends, and `owner` the token there.
fn header(frame: &Frame<'_>, tokens: &[Token], owner: Option<&Token>, end: usize) -> Result<Header, Fault> {
    let (mut ttl, mut class) = (None, None);
    for (at, token) in tokens.iter().enumerate() {
        let word = frame.plain_word(token, "record type")?;
        if word.text[0].is_ascii_digit() && ttl.is_none() {
            ttl = Some(read_ttl(&word).map_err(|fault| match owner {
                Some(owner) if is_type_in_capitals(&frame.word(owner)) => fault.hint(MISPLACED),
                _ => fault,
            })?);
        } else if let Some(found) = Class::parse(word.as_str()).filter(|_| class.is_none()) {
            if found != Class::IN {
                let message = format!("class `{}`, expected `IN`, the only class served", printable(word.text));
                return Err(Fault::new(token.span(), message));
            }
            class = Some(found);
        } else if let Some(rtype) = Rtype::parse(word.as_str()) {
            if rtype.is_meta() {
                let message =
                    format!("type `{}` stands in messages only, expected a type of data", printable(word.text));
                return Err(Fault::new(token.span(), message));
            }
            if matches!(rtype, Rtype::MD | Rtype::MF) {
                // RFC 1035 3.3.4, 3.3.5: rejected in master files.
                let message = format!("type `{}` is obsolete, expected a type of today", printable(word.text));
                return Err(Fault::new(token.span(), message).hint("`MX` took its place"));
            }
            return Ok(Header { ttl, rtype, at });
        } else {
            return Err(unknown_type(&word, owner.map(|owner| frame.word(owner))));
        }
    }
    let end = tokens.last().map_or(end, |last| last.end);
    let fault = Fault::new(end..end, "missing record type, expected a type such as `A` and its RDATA");
    Err(match owner.and_then(|owner| directive_without_sign(&frame.word(owner))) {
        Some(directive) => fault.hint(format!("did you mean the directive `${directive}`?")),
        None => fault,
    })
}

fn directive_without_sign(owner: &Word<'_>) -> Option<&'static str> {
    let directives = ["TTL", "ORIGIN", "INCLUDE", "GENERATE"];
    directives.into_iter().find(|name| name.as_bytes().eq_ignore_ascii_case(owner.text))
}

fn unknown_type(word: &Word<'_>, owner: Option<Word<'_>>) -> Fault {
    let fault =
        Fault::new(word.span.clone(), format!("unknown type `{}`, expected a record type", printable(word.text)));
    if let Some(directive) = owner.as_ref().and_then(directive_without_sign) {
        return fault.hint(format!("did you mean the directive `${directive}`?"));
    }
    if Class::parse(word.as_str()).is_some() {
        return fault.hint("the class was written before");
    }
    if word.text[0].is_ascii_digit() && ttl::parse(word.text).is_some() {
        return fault.hint("the TTL was written before");
    }
    if owner.as_ref().is_some_and(is_type_in_capitals) {
        return fault.hint(MISPLACED);
    }
    let known = Rtype::mnemonics().filter(|mnemonic| Rtype::parse(mnemonic).is_some_and(|rtype| !rtype.is_meta()));
    match closest(word.as_str(), known.chain(["IN"])) {
        Some(mnemonic) => fault.hint(format!("did you mean `{mnemonic}`?")),
        None => fault.hint("a type without a name here is written `TYPE` and its number (RFC 3597)"),
    }
}

const MISPLACED: &str = "a line that takes the owner of the record before starts with a space";

/// Whether an owner is more likely the type of a line that lost its first space: names are seldom in capitals.
fn is_type_in_capitals(owner: &Word<'_>) -> bool {
    let is_known = Rtype::parse(owner.as_str()).is_some() || Class::parse(owner.as_str()).is_some();
    is_known && owner.text.iter().all(u8::is_ascii_uppercase)
}

fn read_ttl(word: &Word<'_>) -> Result<u32, Fault> {
    let ttl = ttl::parse(word.text).ok_or_else(|| {
        let message = format!("bad TTL `{}`, expected seconds, or a time such as `1h30m`", printable(word.text));
        Fault::new(word.span.clone(), message).hint("units are w, d, h, m and s, each behind its number")
    })?;
    if ttl > ttl::MAX {
        // RFC 2181 8.
        let message = format!("TTL `{}` above {}, the largest", printable(word.text), ttl::MAX);
        return Err(Fault::new(word.span.clone(), message));
    }
    Ok(ttl)
}

/// The one argument of a directive, or the one text behind the type in `$GENERATE`.
fn only(frame: &Frame<'_>, before: &Token, tokens: &[Token], expected: &str) -> Result<Token, Fault> {
    match tokens {
        [] => Err(missing_argument(frame, before, tokens, expected)),
        [token] => Ok(*token),
        [_, surplus @ ..] => Err(surplus_argument(frame, before, surplus)),
    }
}

fn missing_argument(frame: &Frame<'_>, before: &Token, tokens: &[Token], expected: &str) -> Fault {
    let end = tokens.last().unwrap_or(before).end;
    Fault::new(end..end, format!("nothing more after `{}`, expected {expected}", printable(frame.word(before).text)))
}

fn surplus_argument(frame: &Frame<'_>, before: &Token, surplus: &[Token]) -> Fault {
    let span = match surplus {
        [first, .., last] | [first @ last] => first.start..last.end,
        [] => before.span(),
    };
    let (name, text) = (printable(frame.word(before).text), printable(&frame.text[span.clone()]));
    Fault::new(span, format!("more after `{name}` than it takes: `{text}`"))
}

fn unescape_quotes(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(octet) = text.get(at) {
        match (octet, text.get(at + 1)) {
            (b'\\', Some(b'"')) => out.push(b'"'),
            (b'\\', Some(next)) => out.extend_from_slice(&[b'\\', *next]),
            (other, _) => {
                out.push(*other);
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    out
}

/// Whether two paths are the same when `.` and `..` are taken as they are written.
fn is_same(a: &Path, b: &Path) -> bool {
    plain(a) == plain(b)
}

fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, component| {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some_and(|name| name != "..") => {
                plain.pop();
            }
            other => plain.push(other),
        }
        plain
    })
}
