//! Conditional requests (RFC 9110, section 13): `If-Match` and `If-None-Match`.

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, StatusCode};

use crate::domain::etag::{Condition, ETag};

use super::refusal::{Answer, Refusal};

/// What a header lists.
enum Listed {
    /// `*`.
    Any,
    /// Entity tags.
    Tags(Vec<Tag>),
}

struct Tag {
    etag: ETag,
    weak: bool,
}

/// The condition on which is written.
pub(super) fn of_write(headers: &HeaderMap) -> Answer<Option<Condition>> {
    match (listed(headers, &IF_MATCH)?, listed(headers, &IF_NONE_MATCH)?) {
        (None, None) => Ok(None),
        (Some(Listed::Any), None) => Ok(Some(Condition::Exists)),
        // A weak tag promises no equality: it matches nothing.
        (Some(Listed::Tags(tags)), None) => {
            Ok(Some(Condition::OneOf(tags.into_iter().filter(|tag| !tag.weak).map(|tag| tag.etag).collect())))
        }
        (None, Some(Listed::Any)) => Ok(Some(Condition::Absent)),
        (None, Some(Listed::Tags(_))) => Err(malformed(&IF_NONE_MATCH, "can only be * where something is written")),
        (Some(_), Some(_)) => Err(malformed(&IF_NONE_MATCH, "cannot stand beside if-match")),
    }
}

/// Whether whoever reads has the row as it is already.
pub(super) fn unchanged(headers: &HeaderMap, current: &ETag) -> Answer<bool> {
    Ok(match listed(headers, &IF_NONE_MATCH)? {
        None => false,
        Some(Listed::Any) => true,
        Some(Listed::Tags(tags)) => tags.iter().any(|tag| tag.etag == *current),
    })
}

fn listed(headers: &HeaderMap, name: &HeaderName) -> Answer<Option<Listed>> {
    let mut tags = Vec::new();
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| malformed(name, "is not ASCII"))?;
        if text.trim() == "*" {
            return Ok(Some(Listed::Any));
        }
        for one in text.split(',').map(str::trim) {
            let weak = one.starts_with("W/");
            let etag = ETag::parse(one.strip_prefix("W/").unwrap_or(one));
            let etag = etag.ok_or_else(|| malformed(name, "must be *, or entity tags as ETag gives them, such as \"0a1b\""))?;
            tags.push(Tag { etag, weak });
        }
    }
    Ok((!tags.is_empty()).then_some(Listed::Tags(tags)))
}

fn malformed(name: &HeaderName, what: &str) -> Refusal {
    Refusal::malformed(StatusCode::BAD_REQUEST, name, what)
}
