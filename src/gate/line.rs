//! What a program or a server says, as one line that can be shown anywhere.

/// Most characters of a sentence, with the mark that something was cut.
pub(super) const LONGEST: usize = 256;

/// The first line of a text, bounded, with everything escaped that a terminal could take for an order.
pub(crate) fn first(octets: &[u8]) -> String {
    // No more octets than the longest line can have, so that a large text costs nothing.
    let octets = &octets[..octets.len().min(4 * LONGEST + 4)];
    let text = String::from_utf8_lossy(octets);
    let line = text.trim_start().lines().next().unwrap_or_default();
    bounded(line.trim_end())
}

/// A text as one line of at most [`LONGEST`] characters.
pub(super) fn bounded(text: &str) -> String {
    shown(text, LONGEST)
}

/// A text as one line of at most `longest` characters.
pub(super) fn shown(text: &str, longest: usize) -> String {
    // One more than fits is known, and then one is given up for the mark.
    let mut pieces: Vec<String> = Vec::new();
    let mut length = 0;
    for character in text.chars() {
        let piece = if is_hidden(character) { character.escape_default().to_string() } else { character.to_string() };
        length += piece.chars().count();
        pieces.push(piece);
        if length > longest {
            while length > longest - 1 {
                length -= pieces.pop().map_or(length, |piece| piece.chars().count());
            }
            pieces.push("…".to_owned());
            break;
        }
    }
    pieces.concat()
}

/// Control characters, and those that turn or hide the text around them.
fn is_hidden(character: char) -> bool {
    let turns = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    character.is_control() || turns || character == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_line_is_what_is_shown() {
        let check = |text: &[u8], expected: &str| assert_eq!(first(text), expected);
        check(b"412 identities are missing\nand more\n", "412 identities are missing");
        check(b"\n\n  late \r\nmore", "late");
        check(b"", "");
        check(b"red \x1b[31m\x07", "red \\u{1b}[31m\\u{7}");
        check("turned \u{202e}txt".as_bytes(), "turned \\u{202e}txt");
        check(b"\xff\xfe", "\u{fffd}\u{fffd}");
    }

    #[test]
    fn what_is_too_long_is_cut_and_marked() {
        assert_eq!(first(&[b'x'; 256]), "x".repeat(256));
        assert_eq!(first(&[b'x'; 257]), format!("{}…", "x".repeat(255)));
        assert_eq!(first(&vec![b'x'; 1 << 20]), format!("{}…", "x".repeat(255)));
        assert_eq!(shown("abcdef", 4), "abc…");
    }

    proptest! {
        #[test]
        fn any_octets_are_one_bounded_line(octets in prop::collection::vec(any::<u8>(), 0..2000)) {
            let line = first(&octets);
            prop_assert!(line.chars().count() <= LONGEST, "{}", line.chars().count());
            prop_assert!(!line.chars().any(is_hidden));
        }

        #[test]
        fn any_text_is_one_bounded_line(text in any::<String>(), longest in 8usize..40) {
            let line = shown(&text, longest);
            prop_assert!(line.chars().count() <= longest);
            prop_assert!(!line.chars().any(is_hidden));
        }
    }
}
