//! `$GENERATE`: the range and the templates that make many records of one line.
//!
//! The directive is no standard; its meaning here is that of BIND, where it comes from. What is refused where BIND
//! reads on: signs and other text behind the range, and widths over 255.

use super::rdata::{RdataError as Fault, Word, decimal, printable};

/// Records that all `$GENERATE` lines of a zone may make together.
pub(super) const MAX_RECORDS: u32 = 1_000_000;

/// The numbers that a line is repeated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    start: u32,
    stop: u32,
    step: u32,
}

impl Counter {
    /// Reads `start-stop` or `start-stop/step`.
    pub(super) fn parse(word: &Word<'_>) -> Result<Self, Fault> {
        let bad = || {
            let message = format!("bad range `{}`, expected `start-stop` or `start-stop/step`", printable(word.text));
            Fault::new(word.span.clone(), message)
                .hint("start is at most stop, stop at most 2147483647, step at least 1")
        };
        let mut parts = word.text.splitn(2, |octet| *octet == b'/');
        let range = parts.next().unwrap_or_default();
        let dash = range.iter().position(|octet| *octet == b'-').ok_or_else(bad)?;
        let number = |text: &[u8]| decimal(text).filter(|number| *number <= i32::MAX as u32);
        let start = number(&range[..dash]).ok_or_else(bad)?;
        let stop = number(&range[dash + 1..]).ok_or_else(bad)?;
        let step = parts.next().map_or(Some(1), number).ok_or_else(bad)?;
        if start > stop || step == 0 { Err(bad()) } else { Ok(Self { start, stop, step }) }
    }

    pub(super) fn count(self) -> u32 {
        (self.stop - self.start) / self.step + 1
    }

    pub(super) fn numbers(self) -> impl Iterator<Item = u32> {
        (self.start..=self.stop).step_by(self.step as usize)
    }
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Decimal,
    Octal,
    Hex,
    UpperHex,
    /// Hexadecimal digits from the lowest, joined by dots, as in `ip6.arpa`.
    Nibbles,
    UpperNibbles,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Number { offset: i32, width: usize, base: Base },
}

/// Text with places for a number: `$`, or `${offset[,width[,base]]}`; `$$` and `\$` are a dollar sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

impl Template {
    /// Reads the text found at `start` of the file.
    pub(super) fn parse(text: &[u8], start: usize) -> Result<Self, Fault> {
        let (mut pieces, mut literal, mut at) = (Vec::new(), Vec::new(), 0);
        while let Some(octet) = text.get(at) {
            match (octet, text.get(at + 1)) {
                (b'\\', Some(next)) => {
                    literal.extend_from_slice(&[b'\\', *next]);
                    at += 2;
                }
                (b'$', Some(b'$')) => {
                    // Kept as an escape, for the text is read once more.
                    literal.extend_from_slice(b"\\$");
                    at += 2;
                }
                (b'$', Some(b'{')) => {
                    let rest = &text[at..];
                    let end = rest.iter().position(|octet| *octet == b'}').map_or(rest.len(), |end| end + 1);
                    let piece = modifier(&rest[..end]).ok_or_else(|| {
                        let span = start + at..start + at + end;
                        let shown = printable(&rest[..end]);
                        Fault::new(span, format!("bad modifier `{shown}`, expected `${{offset,width,base}}`"))
                            .hint("the width is at most 255, the base one of d, o, x, X, n, N")
                    })?;
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    pieces.push(piece);
                    at += end;
                }
                (b'$', _) => {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                    pieces.push(Piece::Number { offset: 0, width: 0, base: Base::Decimal });
                    at += 1;
                }
                (other, _) => {
                    literal.push(*other);
                    at += 1;
                }
            }
        }
        pieces.push(Piece::Literal(literal));
        Ok(Self { pieces })
    }

    /// Writes the text for one number to `out`, which is emptied before; `None` when number and offset leave 32 bits.
    pub(super) fn expand(&self, number: u32, out: &mut Vec<u8>) -> Option<()> {
        out.clear();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text),
                Piece::Number { offset, width, base } => {
                    let value = i32::try_from(number).ok()?.checked_add(*offset)?;
                    write_number(value, *width, *base, out);
                }
            }
        }
        Some(())
    }
}

/// Reads `${offset[,width[,base]]}`.
fn modifier(text: &[u8]) -> Option<Piece> {
    let inner = std::str::from_utf8(text.strip_prefix(b"${")?.strip_suffix(b"}")?).ok()?;
    let mut parts = inner.splitn(3, ',');
    let offset = parts.next()?;
    let offset = offset.parse().ok().filter(|_| !offset.starts_with('+'))?;
    let width = parts.next().map_or(Some(0), |width| decimal(width.as_bytes())).filter(|width| *width <= 255)?;
    let base = match parts.next() {
        None | Some("d") => Base::Decimal,
        Some("o") => Base::Octal,
        Some("x") => Base::Hex,
        Some("X") => Base::UpperHex,
        Some("n") => Base::Nibbles,
        Some("N") => Base::UpperNibbles,
        Some(_) => return None,
    };
    Some(Piece::Number { offset, width: width as usize, base })
}

fn write_number(value: i32, width: usize, base: Base, out: &mut Vec<u8>) {
    let text = match base {
        Base::Decimal => format!("{value:0width$}"),
        Base::Octal => format!("{value:0width$o}"),
        Base::Hex => format!("{value:0width$x}"),
        Base::UpperHex => format!("{value:0width$X}"),
        Base::Nibbles => return write_nibbles(value as u32, width, b"0123456789abcdef", out),
        Base::UpperNibbles => return write_nibbles(value as u32, width, b"0123456789ABCDEF", out),
    };
    out.extend_from_slice(text.as_bytes());
}

/// The width counts digits and dots alike, so that an even one ends with a dot.
fn write_nibbles(mut value: u32, mut width: usize, digits: &[u8; 16], out: &mut Vec<u8>) {
    loop {
        out.push(digits[(value & 0xf) as usize]);
        value >>= 4;
        width = width.saturating_sub(1);
        if width == 0 && value == 0 {
            return;
        }
        out.push(b'.');
        width = width.saturating_sub(1);
        if width == 0 && value == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |text: &str, expected: Option<&[u32]>| {
            let counter = Counter::parse(&Word { text: text.as_bytes(), span: 0..text.len() });
            assert_eq!(
                counter.ok().map(|counter| counter.numbers().collect::<Vec<_>>()).as_deref(),
                expected,
                "{text}"
            );
        };
        check("1-3", Some(&[1, 2, 3]));
        check("0-20/7", Some(&[0, 7, 14]));
        check("5-5", Some(&[5]));
        check("2147483647-2147483647", Some(&[2_147_483_647]));
        check("3-1", None);
        check("1", None);
        check("1-3/0", None);
        check("1-2147483648", None);
        check("-1-3", None);
        check("1-3x", None);
        check("1-3/2/2", None);
    }

    #[test]
    fn templates() {
        let check = |text: &str, number, expected: Option<&str>| {
            let mut out = Vec::new();
            let template = Template::parse(text.as_bytes(), 0).ok();
            let expanded = template.and_then(|template| template.expand(number, &mut out));
            assert_eq!(expanded.map(|()| String::from_utf8(out).unwrap()).as_deref(), expected, "{text}");
        };
        check("a$b", 7, Some("a7b"));
        check("$$ \\$ \\\\$", 7, Some("\\$ \\$ \\\\7"));
        check("${1}", 7, Some("8"));
        check("${-10}", 7, Some("-3"));
        check("${-10,3}", 7, Some("-03"));
        check("${0,3,d}", 7, Some("007"));
        check("${1,0,o}", 7, Some("10"));
        check("${0,3,x}${0,3,X}", 171, Some("0ab0AB"));
        check("${0,1,n}|${0,2,n}|${0,3,n}|${0,4,n}|${0,0,n}", 10, Some("a|a.|a.0|a.0.|a"));
        check("${0,0,N}|${0,8,N}", 0x1ab, Some("B.A.1|B.A.1.0."));
        check("${2147483640}", 7, Some("2147483647"));
        check("${2147483640}", 8, None);
        check("${x}", 1, None);
        check("${,3}", 1, None);
        check("${0,3,q}", 1, None);
        check("${0,256}", 1, None);
        check("${0", 1, None);
    }
}
