//! Lines of tokens to records: whose they are and how long they live.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::header::{Header, header};
use super::lexer::{Kind, Lexer, Line, Token};
use super::rdata::{self, Context, Cursor, RdataError as Fault, Word, bad_name, printable};
use super::report::{Mark, Problem, Report};
use super::tree::{Draft, Record};
use super::{Position, ttl};
use crate::diagnostic::{Severity, Source};
use crate::dns::{Name, Rtype};

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
        known: BTreeMap::new(),
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
pub(super) enum Owner {
    /// No record came before.
    Unknown,
    /// It was written wrongly, which has been reported.
    Bad,
    /// A name outside the zone.
    Outside,
    /// One of the draft's owners.
    Inside(u32),
}

pub(super) struct Reader<'a> {
    pub(super) apex: &'a Name,
    pub(super) include: &'a mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    pub(super) content: Content,
    /// The files being read, from the outermost.
    pub(super) open: Vec<u16>,
    /// The numbers of the files that were read.
    pub(super) known: BTreeMap<PathBuf, u16>,
    pub(super) inclusions: u32,
    pub(super) owner: Owner,
    /// From `$TTL`, or from an SOA record without a TTL.
    pub(super) default_ttl: Option<u32>,
    /// The last TTL that was written in a record (RFC 1035 5.1).
    pub(super) last_ttl: Option<u32>,
    pub(super) warned_of_ttl: bool,
    pub(super) generated: u32,
    /// Reused from record to record.
    pub(super) rdata: Vec<u8>,
}

/// One file while it is read.
pub(super) struct Frame<'t> {
    pub(super) file: u16,
    pub(super) text: &'t [u8],
    pub(super) origin: Name,
    /// Whether another error of this file is shown, so that a hint is worth the time.
    pub(super) hints: bool,
}

impl<'t> Frame<'t> {
    pub(super) fn word(&self, token: &Token) -> Word<'t> {
        Word { text: token.text(self.text), span: token.span() }
    }

    pub(super) fn context<'a>(&'a self, apex: &'a Name) -> Context<'a> {
        Context { origin: &self.origin, apex: Some(apex), hints: self.hints }
    }

    /// A word that must stand without quotes.
    pub(super) fn plain_word(&self, token: &Token, what: &str) -> Result<Word<'t>, Fault> {
        if token.kind == Kind::Plain {
            return Ok(self.word(token));
        }
        let message = format!("{what} in quotes: {}", printable(&self.text[token.span()]));
        Err(Fault::new(token.span(), message).hint("write it without quotes"))
    }

    pub(super) fn mark(&self, token: &Token) -> Mark {
        Mark::new(self.file, token.span())
    }
}

impl Reader<'_> {
    pub(super) fn read_file(&mut self, file: u16, origin: Name) {
        let source = self.content.files[usize::from(file)].clone();
        if source.text.len() > MAX_FILE {
            return self.fail(file, Fault::new(0..0, "file larger than 4 GiB"));
        }
        let mut frame = Frame { file, text: &source.text, origin, hints: true };
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
                frame.hints = self.content.report.has_room(file);
            }
        }
    }

    fn fail(&mut self, file: u16, fault: Fault) {
        self.content.complete = false;
        self.content.report.push(Problem::of_text(Severity::Error, file, fault));
    }

    pub(super) fn warn(&mut self, file: u16, fault: Fault) {
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

        let context = frame.context(self.apex);
        let mut cursor = Cursor::new(frame.text, fields, at.end, context);
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

    pub(super) fn warn_outside(&mut self, frame: &Frame<'_>, head: &Token) {
        let message = format!("record outside the zone `{}`, which is ignored", self.apex);
        self.warn(frame.file, Fault::new(head.span(), message));
    }

    fn take_owner(&mut self, frame: &Frame<'_>, token: &Token) -> Result<(), Fault> {
        self.owner = Owner::Bad;
        let word = frame.plain_word(token, "owner")?;
        let name =
            Name::parse_bytes(word.text, Some(&frame.origin)).map_err(|error| bad_name("owner", &word, error))?;
        let context = frame.context(self.apex);
        if let Some(warning) = rdata::doubled_origin(&word, &name, context) {
            self.warn(frame.file, warning);
        }
        self.owner = self.place_owner(name);
        Ok(())
    }

    pub(super) fn place_owner(&mut self, name: Name) -> Owner {
        if name.is_at_or_below(self.apex) { Owner::Inside(self.content.draft.owner(name)) } else { Owner::Outside }
    }

    /// The TTL of a record: its own, that of `$TTL` (RFC 2308 4), the SOA's minimum, or that of the record before
    /// (RFC 1035 5.1).
    pub(super) fn take_ttl(&mut self, frame: &Frame<'_>, header: &Header, at: &Token) -> Result<u32, Fault> {
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
}
