//! Text from other sources: files of editors and shells, and output for a terminal.

use std::io;
use std::path::Path;

/// Reads a text file: UTF-8, or UTF-16 where a byte order mark says so, as PowerShell writes it. The mark isn't part of
/// the text.
pub fn read(path: impl AsRef<Path>) -> io::Result<String> {
    decode(&std::fs::read(path)?).map_err(|problem| io::Error::new(io::ErrorKind::InvalidData, problem))
}

/// Writes a file in one step: whoever reads it finds all of it, or what was there before.
pub fn write_whole(path: &Path, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    std::fs::write(&part, contents)?;
    std::fs::rename(&part, path)
}

/// So many of something: `1 case`, `2 cases`. For nouns whose plural ends in an s.
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The text of a file's bytes.
pub fn decode(bytes: &[u8]) -> Result<String, &'static str> {
    let utf_16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, odd) = rest.as_chunks::<2>();
        let text = String::from_utf16(&units.iter().copied().map(unit).collect::<Vec<_>>());
        text.ok().filter(|_| odd.is_empty()).ok_or("isn't UTF-16, although its byte order mark says so")
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf_16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf_16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => {
            std::str::from_utf8(rest).map(str::to_owned).map_err(|_| "isn't text in UTF-8: save it as UTF-8")
        }
    }
}

/// A text without its byte order mark.
pub fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// A text on one line of a terminal: characters that would move the cursor, change what follows or turn its direction
/// are shown as their code points.
pub fn printable(text: &str) -> String {
    escape(text, |_| false)
}

/// The same with line ends and tabs left as they are.
pub fn printable_lines(text: &str) -> String {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

fn escape(text: &str, kept: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if kept(character) || !(character.is_control() || is_invisible(character)) {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_unicode());
        }
    }
    escaped
}

/// Marks of direction, joiners and tags: Unicode's default ignorable characters that can hide or reorder text.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_is_shown_instead() {
        assert_eq!(printable("Prod\u{1b}[2J\r\n\u{9b}x"), "Prod\\u{1b}[2J\\u{d}\\u{a}\\u{9b}x");
        assert_eq!(printable("a\u{202e}b\u{2066}c"), "a\\u{202e}b\\u{2066}c");
        assert_eq!(printable_lines("Zürich 東京\n\tüber"), "Zürich 東京\n\tüber");
    }

    #[test]
    fn byte_order_marks_say_how_to_read_and_are_no_text() {
        for bytes in [&b"{}\r\n"[..], b"\xef\xbb\xbf{}\r\n", b"\xff\xfe{\0}\0\r\0\n\0", b"\xfe\xff\0{\0}\0\r\0\n"] {
            assert_eq!(decode(bytes).as_deref(), Ok("{}\r\n"), "{bytes:?}");
        }
        for bytes in [&b"\xff\xfe{"[..], b"\xff\xfe\0\xd8", b"\x80", b"\xef\xbb\xbf\xff"] {
            assert!(decode(bytes).is_err(), "{bytes:?}");
        }
    }
}
