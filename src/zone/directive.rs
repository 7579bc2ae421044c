//! The directives: `$ORIGIN`, `$TTL` (RFC 2308 4), `$INCLUDE` (RFC 1035 5.1) and `$GENERATE`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::generate::{self, Counter, Template};
use super::header::{Header, header, read_ttl};
use super::lexer::{Kind, Lexer, Token};
use super::rdata::{self, Cursor, RdataError as Fault, bad_name, printable};
use super::reader::{Frame, Reader, Record};
use super::rrset::ends_in;
use crate::diagnostic::closest;
use crate::dns::Name;

/// Files open inside each other.
const MAX_DEPTH: usize = 20;
/// `$INCLUDE`s that one zone may follow, files read several times counted each time.
const MAX_INCLUSIONS: u32 = 10_000;
impl Reader<'_, '_> {
    /// Carries out the directive `name` of line `number`.
    pub(super) fn read_directive(
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
        if let Some(warning) = rdata::doubled_origin(&word, origin.wire(), frame.context(self.apex)) {
            self.warn(frame, warning);
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
        let including = &self.content.files[usize::from(frame.file)];
        let path = including.parent().unwrap_or(Path::new("")).join(OsStr::from_bytes(&written));
        let shown = path.display();
        if self.reading.iter().any(|file| is_same(&self.content.files[usize::from(*file)], &path)) {
            let name = |file: &u16| self.content.files[usize::from(*file)].display().to_string();
            let chain: Vec<_> = self.reading.iter().map(name).collect();
            let message = format!("`{shown}` includes itself: {} -> {shown}", chain.join(" -> "));
            return Err(Fault::new(token.span(), message));
        }
        if self.reading.len() > MAX_DEPTH {
            return Err(Fault::new(token.span(), format!("more than {MAX_DEPTH} files included inside each other")));
        }
        self.inclusions += 1;
        if self.inclusions > MAX_INCLUSIONS {
            return Err(Fault::new(token.span(), format!("more than {MAX_INCLUSIONS} inclusions in one zone")));
        }
        let unreadable = |error| {
            Fault::new(token.span(), format!("cannot read `{shown}`: {error}"))
                .hint("a relative path starts at the folder of this file")
        };
        let mut input = (self.open)(&path).map_err(unreadable)?;
        let file = self.number_of(&path);
        let owner = (self.owner, self.owner_wire.clone());
        self.reading.push(file);
        let result = self.read_file(file, &mut *input, origin);
        self.reading.pop();
        (self.owner, self.owner_wire) = owner;
        result.map_err(unreadable)
    }

    /// The number of a file; one that was read before has its own.
    fn number_of(&mut self, path: &Path) -> u16 {
        if let Some(known) = self.known.get(path) {
            return *known;
        }
        // There are at most as many as inclusions.
        let number = self.content.files.len() as u16;
        self.content.files.push(path.into());
        self.known.insert(path.to_owned(), number);
        number
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
        let mut made = Generated { header, head: *left, body: right, line: number, text: Vec::new(), first: true };
        counter.numbers().try_for_each(|number| self.generate_one(frame, &mut made, number, &owners, &rdatas))
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
        let context = frame.context(self.apex);
        let mut cursor = Cursor::new(&made.text, &tokens, made.text.len(), context);
        self.rdata.clear();
        let scanned = match line.and_then(|line| line.fault) {
            Some(fault) => Err(fault),
            None => rdata::scan_record(&mut cursor, made.header.rtype, &mut self.rdata),
        };
        scanned.map_err(|fault| Fault { hint: fault.hint, ..blame(&made.body, fault.message) })?;
        let warning = cursor.warnings.pop().filter(|_| made.first);
        if let Some(warning) = warning {
            self.warn(frame, Fault { hint: warning.hint, ..blame(&made.body, warning.message) });
        }
        let ttl = self.take_ttl(frame, &made.header, &made.head)?;
        if ends_in(name.wire(), self.apex.wire()) {
            self.sink.take(&Record {
                owner: name.wire(),
                rtype: made.header.rtype,
                ttl,
                rdata: &self.rdata,
                line: made.line,
                head: frame.mark(made.head.span()),
                body: frame.mark(made.body.span()),
            });
        } else if made.first {
            self.warn_outside(frame, &made.head);
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
    line: u32,
    text: Vec<u8>,
    /// Whether no record was made yet: warnings are given once.
    first: bool,
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
