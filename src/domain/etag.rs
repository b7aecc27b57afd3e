//! Versions of rows: who read one can write on the condition that it is still that (`If-Match`).

use std::fmt;

use sha2::{Digest, Sha256};

use super::hash::hex;
use super::rows::Row;

/// How much of the hash serves: nobody forges rows to get the same one.
const BYTES: usize = 16;

/// The version of a row: another one for every difference that can be seen from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ETag(String);

impl ETag {
    /// The version of a row.
    pub fn of(row: &Row) -> Self {
        // A row can always be written as JSON: its keys are strings.
        let json = serde_json::to_vec(row).unwrap_or_default();
        Self(hex(&Sha256::digest(json)[..BYTES]))
    }

    /// One as it stands in a header, in its quotation marks. A weak one (`W/"…"`) names no version.
    pub fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('"')?.strip_suffix('"')?;
        (!inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')).then(|| Self(inner.to_owned()))
    }
}

impl fmt::Display for ETag {
    /// As in a header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// What a row must be like to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is of one of these versions (`If-Match: "…"`).
    OneOf(Vec<ETag>),
    /// It is there (`If-Match: *`).
    Exists,
    /// It is not there (`If-None-Match: *`).
    Absent,
}

impl Condition {
    /// Whether a row, or its absence, is as it must be.
    pub fn holds(&self, row: Option<&Row>) -> bool {
        match (self, row) {
            (Self::OneOf(versions), Some(row)) => versions.contains(&ETag::of(row)),
            (Self::Exists, row) => row.is_some(),
            (Self::Absent, row) => row.is_none(),
            (Self::OneOf(_), None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::{AccountFields, DesiredAccount, Fields};
    use super::super::seats::Limits;
    use super::*;

    fn row(seats: i64) -> Row {
        let limits = Limits { seats, organizations: None, widgets: None };
        let values = DesiredAccount { owner_email: "ada@acme.example".to_owned(), owner_display_name: None, limits };
        let fields = Fields::Account(AccountFields { values });
        Row { external_id: "acct_a".to_owned(), tag: None, quarantined: false, fields }
    }

    #[test]
    fn a_version_is_the_same_for_the_same_row_only() {
        let version = ETag::of(&row(3));
        assert_eq!(version, ETag::of(&row(3)));
        assert_ne!(version, ETag::of(&row(4)));
        assert_ne!(version, ETag::of(&Row { quarantined: true, ..row(3) }));
        assert_eq!(version.to_string().len(), 2 + 2 * BYTES);
    }

    #[test]
    fn a_version_is_read_as_it_is_written() {
        let version = ETag::of(&row(3));
        assert_eq!(ETag::parse(&version.to_string()), Some(version));
        for text in ["", "\"", "\"\"", "*", "abc", "W/\"abc\"", "\"a\"b\"", "\"a b\"", "\"\u{e9}\""] {
            assert_eq!(ETag::parse(text), None, "{text}");
        }
    }

    #[test]
    fn conditions_hold_for_what_they_say() {
        let (old, new) = (ETag::of(&row(3)), ETag::of(&row(4)));
        let table = [
            (Condition::OneOf(vec![old.clone()]), true, false),
            (Condition::OneOf(vec![new.clone()]), false, false),
            (Condition::OneOf(vec![new, old]), true, false),
            (Condition::OneOf(vec![]), false, false),
            (Condition::Exists, true, false),
            (Condition::Absent, false, true),
        ];
        for (condition, present, absent) in table {
            assert_eq!((condition.holds(Some(&row(3))), condition.holds(None)), (present, absent), "{condition:?}");
        }
    }
}
