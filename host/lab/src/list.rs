//! ListObjectsV2 (S3 API reference): the keys of the bucket, page by page.

use std::borrow::Cow;
use std::fmt::Write;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::bucket::Bucket;
use crate::error::AwsError;
use crate::xml::escape;

/// The largest page, and the page unless the client asks for another.
const PAGE_SIZE: usize = 1000;

/// What `encoding-type=url` leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Which part of the keys.
#[derive(Debug, Default)]
pub(crate) struct List {
    prefix: String,
    /// Empty: none.
    delimiter: String,
    max_keys: Option<usize>,
    start_after: String,
    token: Option<Token>,
    url_encoded: bool,
}

/// Where a page begins: its number, and the last key or common prefix of the page before.
#[derive(Debug)]
struct Token {
    page: u32,
    last: String,
}

impl List {
    pub fn parse(query: Vec<(Cow<str>, Cow<str>)>) -> Result<Self, AwsError> {
        let invalid = |message: &str| AwsError::new("InvalidArgument", message);
        let mut list = Self::default();
        for (name, value) in query {
            match name.as_ref() {
                "prefix" => list.prefix = value.into_owned(),
                "delimiter" => list.delimiter = value.into_owned(),
                "start-after" => list.start_after = value.into_owned(),
                "encoding-type" => list.url_encoded = value == "url",
                "max-keys" => list.max_keys = Some(value.parse().map_err(|_| invalid("max-keys isn't a number"))?),
                "continuation-token" => {
                    let token = value.split_once(' ').and_then(|(page, last)| {
                        Some(Token { page: page.parse().ok().filter(|page| *page > 1)?, last: last.to_owned() })
                    });
                    list.token = Some(token.ok_or_else(|| invalid("The continuation token provided is incorrect"))?);
                }
                _ => {}
            }
        }
        Ok(list)
    }

    pub fn page(&self) -> u32 {
        self.token.as_ref().map_or(1, |token| token.page)
    }

    /// Whether the page before had the key already, as part of a common prefix.
    fn was_listed(&self, key: &str) -> bool {
        let last = self.token.as_ref().map_or("", |token| token.last.as_str());
        !self.delimiter.is_empty() && last.ends_with(&self.delimiter) && key.starts_with(last)
    }

    /// The common prefix that stands for the key, if one does.
    fn common_prefix<'a>(&self, key: &'a str) -> Option<&'a str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let end = key.get(self.prefix.len()..)?.find(&self.delimiter)? + self.prefix.len() + self.delimiter.len();
        key.get(..end)
    }

    fn text<'a>(&self, key: &'a str) -> Cow<'a, str> {
        if self.url_encoded { utf8_percent_encode(key, ENCODED).into() } else { escape(key) }
    }
}

/// The body of a successful answer.
pub(crate) fn answer(list: &List, name: &str, bucket: &Bucket) -> String {
    let size = list.max_keys.unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
    let after = list.token.as_ref().map_or(list.start_after.as_str(), |token| &token.last);
    let (mut contents, mut prefixes) = (String::new(), String::new());
    let (mut count, mut last, mut more) = (0, String::new(), false);
    for (key, object) in bucket.list(&list.prefix, after) {
        let common = list.common_prefix(&key);
        if list.was_listed(&key) || common.is_some_and(|prefix| prefix == last) {
            continue;
        }
        if count == size {
            more = size > 0;
            break;
        }
        count += 1;
        if let Some(prefix) = common {
            let _ = write!(prefixes, "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", list.text(prefix));
        } else {
            let modified = DateTime::from_secs(DateTime::from(object.modified).secs()).fmt(Format::DateTime);
            let _ = write!(
                contents,
                "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>{}</ETag><Size>{}</Size>\
                 <StorageClass>STANDARD</StorageClass></Contents>",
                list.text(&key),
                modified.unwrap_or_default(),
                escape(&object.etag),
                object.upload.body.len(),
            );
        }
        last = common.unwrap_or(&key).to_owned();
    }
    let mut body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name><Prefix>{}</Prefix>\
         <KeyCount>{count}</KeyCount><MaxKeys>{size}</MaxKeys><IsTruncated>{more}</IsTruncated>",
        escape(name),
        list.text(&list.prefix),
    );
    if !list.delimiter.is_empty() {
        let _ = write!(body, "<Delimiter>{}</Delimiter>", list.text(&list.delimiter));
    }
    if list.url_encoded {
        body.push_str("<EncodingType>url</EncodingType>");
    }
    if more {
        let token = format!("{} {last}", list.page().saturating_add(1));
        let _ = write!(body, "<NextContinuationToken>{}</NextContinuationToken>", escape(&token));
    }
    body + &contents + &prefixes + "</ListBucketResult>\n"
}
