//! Lines of tokens to records: whose they are and how long they live.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::header::{Header, header};
use super::lexer::{Kind, Lexer, Line, Progress, Token};
use super::rdata::{self, Context, Cursor, RdataError as Fault, Word, bad_name, printable};
use super::report::{Mark, Problem, Report};
use super::rrset::ends_in;
use super::window::Window;
use super::{Open, ttl};
use crate::diagnostic::Severity;
use crate::dns::{Name, Rtype};

/// Offsets are kept in four octets.
const MAX_FILE: u64 = u32::MAX as u64;

/// A record as it stands in a file.
#[derive(Debug)]
pub(super) struct Record<'a> {
    /// The owner in wire form, at or below the apex.
    pub(super) owner: &'a [u8],
    pub(super) rtype: Rtype,
    pub(super) ttl: u32,
    pub(super) rdata: &'a [u8],
    /// The line that it starts in.
    pub(super) line: u32,
    /// The owner, or the type where the owner is left blank.
    pub(super) head: Mark,
    /// The RDATA.
    pub(super) body: Mark,
}

/// Who takes the records.
pub(super) trait Sink {
    fn take(&mut self, record: &Record<'_>);
}

/// What the files say beside their records.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) report: Report,
    pub(super) files: Vec<Arc<Path>>,
    /// Whether every line could be read: what is absent is then really not there.
    pub(super) complete: bool,
}

/// Reads a file and all that it includes, and hands each record to `sink`.
///
/// # Errors
/// When the file itself cannot be read.
pub(super) fn read(
    path: &Path,
    apex: &Name,
    open: &mut Open<'_>,
    sink: &mut dyn Sink,
) -> Result<Content, (Content, io::Error)> {
    let content = Content { report: Report::default(), files: vec![path.into()], complete: true };
    let mut reader = Reader {
        apex,
        open,
        sink,
        content,
        reading: vec![0],
        known: BTreeMap::new(),
        inclusions: 0,
        owner: Owner::Unknown,
        owner_wire: Vec::new(),
        default_ttl: None,
        last_ttl: None,
        warned_of_ttl: false,
        generated: 0,
        rdata: Vec::new(),
        name: Vec::new(),
        buffers: Vec::new(),
    };
    let input = (reader.open)(path);
    match input.and_then(|mut input| reader.read_file(0, &mut *input, apex.clone())) {
        Ok(()) => Ok(reader.content),
        Err(error) => Err((reader.content, error)),
    }
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
    /// The name in [`Reader::owner_wire`].
    Inside,
}

pub(super) struct Reader<'a, 'o> {
    pub(super) apex: &'a Name,
    pub(super) open: &'a mut Open<'o>,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) content: Content,
    /// The files being read, from the outermost.
    pub(super) reading: Vec<u16>,
    /// The numbers of the files that were read.
    pub(super) known: BTreeMap<PathBuf, u16>,
    pub(super) inclusions: u32,
    pub(super) owner: Owner,
    /// The last owner that was written, in wire form.
    pub(super) owner_wire: Vec<u8>,
    /// From `$TTL`, or from an SOA record without a TTL.
    pub(super) default_ttl: Option<u32>,
    /// The last TTL that was written in a record (RFC 1035 5.1).
    pub(super) last_ttl: Option<u32>,
    pub(super) warned_of_ttl: bool,
    pub(super) generated: u32,
    /// Reused from record to record.
    pub(super) rdata: Vec<u8>,
    /// Reused from owner to owner.
    name: Vec<u8>,
    /// Reused from file to file.
    buffers: Vec<Vec<u8>>,
}

/// The part of a file that is read.
pub(super) struct Frame<'t> {
    pub(super) file: u16,
    /// Where in the file the text starts.
    base: u64,
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

    /// Where these octets of the text stand in the file.
    pub(super) fn mark(&self, span: std::ops::Range<usize>) -> Mark {
        let base = self.base as usize;
        Mark::new(self.file, base + span.start..base + span.end)
    }
}

impl Reader<'_, '_> {
    /// Reads a file window by window.
    pub(super) fn read_file(&mut self, file: u16, input: &mut dyn io::Read, origin: Name) -> io::Result<()> {
        let mut window = Window::new(self.buffers.pop().unwrap_or_default());
        let mut progress = Progress::starting_at(0);
        let (mut origin, mut hints, mut tokens) = (origin, true, Vec::new());
        loop {
            window.advance(progress.at, input)?;
            let mut frame = Frame { file, base: window.base(), text: window.text(), origin, hints };
            if window.end() > MAX_FILE {
                self.fail(&Frame { base: 0, ..frame }, Fault::new(0..0, "file larger than 4 GiB"));
                break;
            }
            if window.base() == 0 && progress.at == 0 && frame.text.starts_with("\u{feff}".as_bytes()) {
                progress.at = 3;
                let fault = Fault::new(0..3, "byte order mark, expected plain text");
                self.fail(&frame, fault.hint("save the file as UTF-8 without a byte order mark"));
            } else {
                progress.at = 0;
            }
            let mut lexer = Lexer::resume(frame.text, window.goes_on(), progress);
            while let Some(line) = lexer.next_line(&mut tokens) {
                if let Err(fault) = self.read_line(&mut frame, line, &tokens) {
                    self.fail(&frame, fault);
                    frame.hints = self.content.report.has_room(file);
                }
            }
            progress = lexer.progress();
            (origin, hints) = (frame.origin, frame.hints);
            if !window.goes_on() {
                break;
            }
        }
        self.buffers.push(window.into_buffer());
        Ok(())
    }

    fn fail(&mut self, frame: &Frame<'_>, fault: Fault) {
        self.content.complete = false;
        self.content.report.push(Problem::of_text(Severity::Error, frame.mark(fault.span.clone()), fault));
    }

    pub(super) fn warn(&mut self, frame: &Frame<'_>, fault: Fault) {
        self.content.report.push(Problem::of_text(Severity::Warning, frame.mark(fault.span.clone()), fault));
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
            self.warn(frame, warning);
        }
        let ttl = self.take_ttl(frame, &header, at)?;
        let body = match fields {
            [first, .., last] | [first @ last] => first.start..last.end,
            [] => at.span(),
        };
        match self.owner {
            Owner::Inside => self.sink.take(&Record {
                owner: &self.owner_wire,
                rtype: header.rtype,
                ttl,
                rdata: &self.rdata,
                line: line.number,
                head: frame.mark(head.span()),
                body: frame.mark(body),
            }),
            Owner::Outside => self.warn_outside(frame, head),
            Owner::Bad | Owner::Unknown => {}
        }
        Ok(())
    }

    pub(super) fn warn_outside(&mut self, frame: &Frame<'_>, head: &Token) {
        let message = format!("record outside the zone `{}`, which is ignored", self.apex);
        self.warn(frame, Fault::new(head.span(), message));
    }

    fn take_owner(&mut self, frame: &Frame<'_>, token: &Token) -> Result<(), Fault> {
        self.owner = Owner::Bad;
        let word = frame.plain_word(token, "owner")?;
        self.name.clear();
        Name::append_parsed(word.text, Some(&frame.origin), &mut self.name)
            .map_err(|error| bad_name("owner", &word, error))?;
        if let Some(warning) = rdata::doubled_origin(&word, &self.name, frame.context(self.apex)) {
            self.warn(frame, warning);
        }
        std::mem::swap(&mut self.owner_wire, &mut self.name);
        self.owner = if ends_in(&self.owner_wire, self.apex.wire()) { Owner::Inside } else { Owner::Outside };
        Ok(())
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
            self.warn(frame, Fault::new(at.span(), message).hint(hint));
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
            self.warn(frame, fault.hint("write `$TTL` with the TTL meant before the first record"));
        }
        Ok(ttl)
    }
}
