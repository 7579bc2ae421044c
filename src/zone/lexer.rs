//! A master file's octets to logical lines of tokens (RFC 1035 5.1).
//!
//! A logical line ends at a line end outside parentheses. Tokens are spans into the text: escapes are left for whoever
//! knows what the token is, so that nothing is copied here. An unclosed quote ends with its line, and an unclosed
//! parenthesis is given up at the next line that starts with text, so that one slip hides as little as possible.

use std::ops::Range;

use super::rdata::RdataError as Fault;

/// How often an unclosed parenthesis is given up before the rest of the text is left unread: each one costs a look at
/// all that follows.
const MAX_UNCLOSED: u8 = 10;

/// How a token is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Without quotes.
    Plain,
    /// In quotes, which its span includes.
    Quoted,
    /// Plain text that ends with a quoted part directly after `=`, as in `alpn="h2,h3"` (RFC 9460 2.1).
    Pair,
}

/// One word of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: Kind,
}

impl Token {
    /// Where it stands, quotes included.
    pub(super) fn span(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Its octets without the quotes around it, escapes as they are written.
    pub(super) fn text<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        match self.kind {
            Kind::Quoted => &text[self.start + 1..self.end - 1],
            Kind::Plain | Kind::Pair => &text[self.start..self.end],
        }
    }
}

/// What a line is, beside its tokens.
#[derive(Debug)]
pub(super) struct Line {
    /// Where it starts, from 1.
    pub(super) number: u32,
    /// Whether it starts with white space, which stands for the owner of the record before.
    pub(super) blank: bool,
    /// What is wrong with its quotes or parentheses: the tokens are then not all there.
    pub(super) fault: Option<Fault>,
}

/// How far a text was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Where the next logical line starts.
    pub(super) at: usize,
    /// Its number, from 1.
    line: u32,
    unclosed: u8,
}

impl Progress {
    /// Leaves out what is before `at`, which is on the first line.
    pub(super) fn starting_at(at: usize) -> Self {
        Self { at, line: 1, unclosed: 0 }
    }
}

/// Reads logical lines.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    /// Whether the text goes on behind what is here: a line that meets the end is then not read.
    goes_on: bool,
    at: usize,
    line: u32,
    unclosed: u8,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self::resume(text, false, Progress::starting_at(0))
    }

    /// Goes on from `progress` in a text that goes on itself, or ends.
    pub(super) fn resume(text: &'a [u8], goes_on: bool, progress: Progress) -> Self {
        let Progress { at, line, unclosed } = progress;
        Self { text, goes_on, at, line, unclosed }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress { at: self.at, line: self.line, unclosed: self.unclosed }
    }

    /// Puts the next line that is not empty into `tokens`; `None` when there is no whole one before the end.
    pub(super) fn next_line(&mut self, tokens: &mut Vec<Token>) -> Option<Line> {
        while self.at < self.text.len() {
            tokens.clear();
            let line = self.scan_line(tokens)?;
            if !tokens.is_empty() || line.fault.is_some() {
                return Some(line);
            }
        }
        None
    }

    fn scan_line(&mut self, tokens: &mut Vec<Token>) -> Option<Line> {
        let start = self.at;
        let mut line = Line { number: self.line, blank: matches!(self.text[start], b' ' | b'\t' | b'\r'), fault: None };
        let (mut depth, mut outermost) = (0_usize, start);
        while let Some(octet) = self.text.get(self.at) {
            match octet {
                b'\n' => {
                    self.at += 1;
                    self.line = self.line.saturating_add(1);
                    if depth == 0 {
                        return Some(line);
                    }
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b';' => {
                    let rest = &self.text[self.at..];
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                b'(' => {
                    if depth == 0 {
                        outermost = self.at;
                    }
                    depth += 1;
                    self.at += 1;
                }
                b')' => {
                    if depth == 0 {
                        line.fault
                            .get_or_insert_with(|| Fault::new(self.at..self.at + 1, "`)` without a `(` before it"));
                    }
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                b'"' => {
                    let start = self.at;
                    let closed = self.scan_quoted();
                    self.push(tokens, &mut line, start, Kind::Quoted, closed);
                }
                _ => self.scan_plain(tokens, &mut line),
            }
        }
        if self.goes_on {
            (self.at, self.line) = (start, line.number);
            return None;
        }
        if depth > 0 {
            tokens.clear();
            line.fault = Some(
                Fault::new(outermost..outermost + 1, "unclosed parenthesis, expected a `)` before the end of the file")
                    .hint("what follows is read again from the next line that starts with text"),
            );
            self.give_up(outermost, start, line.number);
        }
        Some(line)
    }

    fn push(&self, tokens: &mut Vec<Token>, line: &mut Line, start: usize, kind: Kind, closed: bool) {
        if closed {
            tokens.push(Token { start, end: self.at, kind });
        } else {
            line.fault.get_or_insert_with(|| unclosed_quote(self.text, start, self.at));
        }
    }

    /// Moves behind the quote that closes the one here; `false` at a line end or the end of the text.
    fn scan_quoted(&mut self) -> bool {
        self.at += 1;
        while let Some(octet) = self.text.get(self.at) {
            match octet {
                b'"' => {
                    self.at += 1;
                    return true;
                }
                b'\n' => return false,
                b'\\' => {
                    // An escaped line end belongs to the text, as in the name servers that people come from.
                    if self.text.get(self.at + 1) == Some(&b'\n') {
                        self.line = self.line.saturating_add(1);
                    }
                    self.at = (self.at + 2).min(self.text.len());
                }
                _ => self.at += 1,
            }
        }
        false
    }

    fn scan_plain(&mut self, tokens: &mut Vec<Token>, line: &mut Line) {
        let start = self.at;
        while let Some(octet) = self.text.get(self.at) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' => break,
                b'"' if self.at > start && self.text[self.at - 1] == b'=' => {
                    let closed = self.scan_quoted();
                    return self.push(tokens, line, start, Kind::Pair, closed);
                }
                b'"' => break,
                b'\\' if !matches!(self.text.get(self.at + 1), None | Some(b'\n' | b'\r')) => self.at += 2,
                _ => self.at += 1,
            }
        }
        tokens.push(Token { start, end: self.at, kind: Kind::Plain });
    }

    /// Goes on at the first line behind `unclosed` that starts with an owner or a directive.
    fn give_up(&mut self, unclosed: usize, line_start: usize, number: u32) {
        self.unclosed += 1;
        if self.unclosed >= MAX_UNCLOSED {
            return;
        }
        let resume = memchr::memchr_iter(b'\n', &self.text[unclosed..])
            .map(|at| unclosed + at + 1)
            .find(|at| !matches!(self.text.get(*at), Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')')))
            .unwrap_or(self.text.len());
        self.at = resume;
        self.line = number.saturating_add(memchr::memchr_iter(b'\n', &self.text[line_start..resume]).count() as u32);
    }
}

fn unclosed_quote(text: &[u8], start: usize, end: usize) -> Fault {
    let open = start + memchr::memchr(b'"', &text[start..end]).unwrap_or(0);
    Fault::new(open..open + 1, "unclosed quote, expected a `\"` before the end of the line")
        .hint("a quote inside the text is written `\\\"`")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines as `number[_]:token|token` with `_` for a blank owner, faults as `!offset`.
    fn check(text: &str, expected: &[&str]) {
        let mut lexer = Lexer::new(text.as_bytes());
        let (mut tokens, mut found) = (Vec::new(), Vec::new());
        while let Some(line) = lexer.next_line(&mut tokens) {
            let words: Vec<_> = tokens.iter().map(|token| &text[token.span()]).collect();
            let fault = line.fault.map(|fault| format!("!{}", fault.span.start)).unwrap_or_default();
            found.push(format!("{}{}:{}{fault}", line.number, if line.blank { "_" } else { "" }, words.join("|")));
        }
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn lines_and_blank_owners() {
        check("", &[]);
        check("a b\n\n  \n ; c\n\tc d", &["1:a|b", "5_:c|d"]);
        check("a\r\n b\r\n\r\nc", &["1:a", "2_:b", "4:c"]);
        check("a;b c\nd ;\n", &["1:a", "2:d"]);
    }

    #[test]
    fn parentheses_join_lines() {
        check("a ( b\n ; ) comment\n c ) d\ne", &["1:a|b|c|d", "4:e"]);
        check("(a ( b ) \n c )\ne", &["1:a|b|c", "3:e"]);
        check("(\n) a", &["1:a"]);
        check("a(b)c", &["1:a|b|c"]);
    }

    #[test]
    fn quotes_hold_everything_but_line_ends() {
        check("\"a;( b\" c", &["1:\"a;( b\"|c"]);
        check("\"a\\\"b\"", &["1:\"a\\\"b\""]);
        check("a\"b\"c", &["1:a|\"b\"|c"]);
        check("alpn=\"h2 h3\" x", &["1:alpn=\"h2 h3\"|x"]);
        check("a\\ b\\;c d", &["1:a\\ b\\;c|d"]);
        check("\"a\\\nb\"\nc", &["1:\"a\\\nb\"", "3:c"]);
        check("a\\\nb", &["1:a\\", "2:b"]);
    }

    #[test]
    fn faults_are_at_the_opening_place() {
        check("a \"b\nc", &["1:a!2", "2:c"]);
        check("a k=\"b\nc", &["1:a!4", "2:c"]);
        check("a ) b\nc", &["1:a|b!2", "2:c"]);
        check("a ( b\n c\nd\n e", &["1:!2", "3:d", "4_:e"]);
        check("a (\nb (\nc", &["1:!2", "2:!6", "3:c"]);
        check("a ( \"b\n c )\nd", &["1:a|c!4", "3:d"]);
    }

    #[test]
    fn many_unclosed_parentheses_take_linear_time() {
        let text = "a (\n".repeat(200_000);
        let mut lexer = Lexer::new(text.as_bytes());
        let (mut tokens, mut lines) = (Vec::new(), 0);
        while lexer.next_line(&mut tokens).is_some() {
            lines += 1;
        }
        assert_eq!(lines, usize::from(MAX_UNCLOSED));
    }
}
