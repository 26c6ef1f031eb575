//! The body of an upload: taken out of the aws-chunked framing, and compared with the checksums that came with it
//! (S3 User Guide: checking object integrity; S3 API reference: signature calculations for the Authorization header).

use aws_smithy_checksums::ChecksumAlgorithm;
use aws_smithy_checksums::http::CHECKSUM_ALGORITHMS_IN_PRIORITY_ORDER;
use aws_smithy_types::base64;
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest, Md5};

use crate::error::AwsError;

/// How the body was signed.
pub(crate) const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// A body, and the checksum that readers get with it.
#[derive(Debug)]
pub(crate) struct Upload {
    pub body: Bytes,
    /// The header and its value; the client's algorithm, or CRC64NVME, as S3 does it.
    pub checksum: (HeaderName, HeaderValue),
}

impl Upload {
    /// A body that nobody sent a checksum for.
    pub fn of(body: Bytes) -> Self {
        let checksum = checksum(ChecksumAlgorithm::Crc64Nvme, &body);
        Self { body, checksum }
    }

    /// The body of a request; refused where it isn't what its client meant to send.
    pub fn read(headers: &HeaderMap, body: &Bytes) -> Result<Self, AwsError> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (body, trailers) = if text(CONTENT_SHA256).is_some_and(|how| how.starts_with("STREAMING-")) {
            let (body, trailers) = unframe(body).ok_or_else(incomplete)?;
            if text("x-amz-decoded-content-length").and_then(|length| length.parse().ok()) != Some(body.len()) {
                return Err(incomplete());
            }
            (body, trailers)
        } else {
            (body.clone(), HeaderMap::new())
        };
        if text("content-md5").is_some_and(|md5| md5 != base64::encode(Md5::digest(&body))) {
            return Err(differs("Content-MD5"));
        }
        for name in CHECKSUM_ALGORITHMS_IN_PRIORITY_ORDER {
            let header = format!("x-amz-checksum-{name}");
            let Some(sent) = headers.get(&header).or_else(|| trailers.get(&header)) else { continue };
            let Ok(algorithm) = name.parse() else { continue };
            let checksum = checksum(algorithm, &body);
            return if checksum.1 == sent { Ok(Self { body, checksum }) } else { Err(differs(&header)) };
        }
        Ok(Self::of(body))
    }
}

fn checksum(algorithm: ChecksumAlgorithm, body: &[u8]) -> (HeaderName, HeaderValue) {
    let mut checksum = algorithm.into_impl();
    checksum.update(body);
    (HeaderName::from_static(checksum.header_name()), checksum.header_value())
}

fn incomplete() -> AwsError {
    let message = "You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header";
    AwsError::new("IncompleteBody", message)
}

fn differs(header: &str) -> AwsError {
    AwsError::new("BadDigest", format!("The {header} you specified did not match what we received."))
}

/// Chunks, each a line with the size in hexadecimal digits and then the bytes, up to an empty one; then the trailers.
/// Chunks may carry signatures, which aren't checked: the signature of the request and the checksum are.
fn unframe(framed: &[u8]) -> Option<(Bytes, HeaderMap)> {
    let mut body = Vec::with_capacity(framed.len());
    let mut rest = framed;
    loop {
        let size = usize::from_str_radix(line(&mut rest)?.split(';').next()?, 16).ok()?;
        if size == 0 {
            break;
        }
        let (chunk, after) = rest.split_at_checked(size)?;
        body.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n")?;
    }
    let mut trailers = HeaderMap::new();
    loop {
        let trailer = line(&mut rest)?;
        if trailer.is_empty() {
            return Some((body.into(), trailers));
        }
        let (name, value) = trailer.split_once(':')?;
        trailers.insert(name.parse::<HeaderName>().ok()?, value.trim().parse().ok()?);
    }
}

/// Takes a line off, without its end.
fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    let (line, after) = rest.split_at(end);
    *rest = &after[2..];
    std::str::from_utf8(line).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framing_is_taken_off_and_trailers_are_kept() {
        let framed = b"4\r\nab\r\n\r\nA;chunk-signature=0\r\n0123456789\r\n0\r\nx-amz-checksum-crc32: AA==\r\n\r\n";
        let (body, trailers) = unframe(framed).unwrap();
        assert_eq!(body, "ab\r\n0123456789");
        assert_eq!(trailers["x-amz-checksum-crc32"], "AA==");
    }

    #[test]
    fn broken_framing_is_refused() {
        for framed in
            ["", "4\r\nab", "4\r\nabcd", "2\r\nabcd\r\n0\r\n\r\n", "x\r\n", "0\r\n", "0\r\nno trailer\r\n\r\n"]
        {
            assert!(unframe(framed.as_bytes()).is_none(), "{framed:?}");
        }
        assert!(unframe(b"ffffffffffffffff\r\nab\r\n").is_none());
    }
}
