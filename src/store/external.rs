//! Random names: of the store, of rows, of widgets in public. Never guessed, never counted.

use crate::backend::BackendError;
use crate::domain::rows::RowKind;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// 26 characters of five bits each: 130 bits from the operating system.
const LENGTH: usize = 26;

/// A new random name that opens with `prefix`.
pub(super) fn random(prefix: &str) -> Result<String, BackendError> {
    Ok(prefix.to_owned() + &letters(LENGTH)?)
}

/// Random letters and digits, of five bits each.
pub(super) fn letters(length: usize) -> Result<String, BackendError> {
    let mut bytes = vec![0_u8; length];
    getrandom::fill(&mut bytes).map_err(|_| BackendError::Transient("the system's random source does not answer".to_owned()))?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// A new external id for a row.
pub(super) fn row_id(kind: RowKind) -> Result<String, BackendError> {
    random(match kind {
        RowKind::Account => "acct_",
        RowKind::Organization => "org_",
        RowKind::Operator => "oper_",
        RowKind::Department => "dept_",
        RowKind::Widget => "wdgt_",
    })
}
