//! Text files as editors and shells write them.

use std::io;
use std::path::Path;

/// Reads a text file: UTF-8, or UTF-16 where a byte order mark says so, as PowerShell writes it. The mark isn't part of
/// the text.
pub fn read(path: impl AsRef<Path>) -> io::Result<String> {
    decode(&std::fs::read(path)?).map_err(|problem| io::Error::new(io::ErrorKind::InvalidData, problem))
}

/// The text of a file's bytes.
pub fn decode(bytes: &[u8]) -> Result<String, &'static str> {
    let utf_16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, odd) = rest.as_chunks::<2>();
        let text = String::from_utf16(&units.iter().copied().map(unit).collect::<Vec<_>>());
        text.ok().filter(|_| odd.is_empty()).ok_or("isn't UTF-16, which its byte order mark says it is")
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

#[cfg(test)]
mod tests {
    use super::decode;

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
