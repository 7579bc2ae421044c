//! The directives: `$ORIGIN`, `$TTL` (RFC 2308 4), `$INCLUDE` (RFC 1035 5.1) and `$GENERATE`.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::Position;
use super::generate::{self, Counter, Template};
use super::header::{Header, header, read_ttl};
use super::lexer::{Kind, Lexer, Token};
use super::rdata::{self, Cursor, RdataError as Fault, bad_name, printable};
use super::reader::{Frame, Owner, Reader};
use super::tree::Record;
use crate::diagnostic::{Source, closest};
use crate::dns::Name;

/// Files open inside each other.
const MAX_DEPTH: usize = 20;
/// `$INCLUDE`s that one zone may follow, files read several times counted each time.
const MAX_INCLUSIONS: u32 = 10_000;
impl Reader<'_> {
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
        let context = frame.context(self.apex);
        if let Some(warning) = rdata::doubled_origin(&word, &origin, context) {
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
        if let Some(known) = self.known.get(path) {
            return Ok(*known);
        }
        let text = (self.include)(path)?;
        let number = self.content.files.len() as u16;
        self.content.files.push(Source { path: Arc::from(path), text: text.into() });
        self.known.insert(path.to_owned(), number);
        Ok(number)
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
