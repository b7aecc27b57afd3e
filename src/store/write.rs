//! What a mutation comes with besides what it is to do: whose turn it is, on what condition, and under which idempotency key.

use sha2::{Digest, Sha256};

use crate::backend::{BackendError, Result, Session};
use crate::domain::etag::Condition;
use crate::domain::hash::hex;

/// The longest idempotency key.
const LONGEST_KEY: usize = 255;

/// A wish to write. A [`Session`] alone is one without conditions.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// Whose turn it is.
    pub session: &'a Session,
    /// What the row of the first key must be like; `PreconditionFailed` where it is not.
    pub condition: Option<&'a Condition>,
    /// To be done once, however often it is asked for.
    pub once: Option<&'a Once>,
}

impl<'a> From<&'a Session> for Write<'a> {
    fn from(session: &'a Session) -> Self {
        Self { session, condition: None, once: None }
    }
}

/// A request that may be asked again, when its answer was lost: it is done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    pub(super) token: String,
    pub(super) key: String,
    pub(super) digest: String,
}

impl Once {
    /// The request of a token's id under an idempotency key. `request` is all that makes it what it is: method, path, body.
    pub fn new<'r>(token: &str, key: &str, request: impl IntoIterator<Item = &'r [u8]>) -> Result<Self> {
        if key.is_empty() || key.len() > LONGEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!("must be 1 to {LONGEST_KEY} visible ASCII characters, such as a UUID");
            return Err(BackendError::Invalid { field: "Idempotency-Key".into(), message });
        }
        let digest = request.into_iter().fold(Sha256::new(), |digest, part| {
            // With its length, so that nothing moves from one part to the next unseen.
            digest.chain_update(part.len().to_be_bytes()).chain_update(part)
        });
        Ok(Self { token: token.to_owned(), key: key.to_owned(), digest: hex(&digest.finalize()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_differ_anywhere_are_different() {
        let once = |request: &[&str]| Once::new("dpt_a", "key", request.iter().map(|part| part.as_bytes())).unwrap();
        assert_eq!(once(&["POST", "/v1/a", "{}"]), once(&["POST", "/v1/a", "{}"]));
        for other in [&["POST", "/v1/a", "{ }"][..], &["PUT", "/v1/a", "{}"], &["POST", "/v1/a{", "}"], &["POST/v1/a{}"]] {
            assert_ne!(once(other), once(&["POST", "/v1/a", "{}"]));
        }
    }

    #[test]
    fn a_key_has_bounds() {
        for key in ["", "a b", "a\n", "é", &"x".repeat(256)] {
            assert!(matches!(Once::new("dpt_a", key, []), Err(BackendError::Invalid { .. })), "{key}");
        }
        assert!(Once::new("dpt_a", &"x".repeat(255), []).is_ok());
    }
}
