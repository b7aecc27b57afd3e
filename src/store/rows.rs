//! What rows of all kinds have in common: their id, whose they are, and whether their object vanished.

use sqlx::FromRow;

use crate::backend::{Result, Session};
use crate::domain::rows::{Key, OwnerTag, RowKind};

use super::external;

/// The columns every row opens with.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(super) struct Head {
    pub(super) id: i64,
    pub(super) external_id: String,
    pub(super) key: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) owner_namespace: Option<String>,
    pub(super) owner_name: Option<String>,
    pub(super) quarantined: bool,
}

impl Head {
    /// Of a row yet to be inserted.
    pub(super) fn new(session: &Session, tag: &OwnerTag) -> Result<Self> {
        let mut head = Self {
            id: 0,
            external_id: external::row_id(tag.kind)?,
            key: None,
            owner: None,
            owner_namespace: None,
            owner_name: None,
            quarantined: false,
        };
        head.claim(session, tag);
        Ok(head)
    }

    /// Makes it the row of an object that is there: a quarantined one is back.
    pub(super) fn claim(&mut self, session: &Session, tag: &OwnerTag) {
        self.key = Some(tag.key.0.clone());
        self.owner = Some(session.owner.clone());
        self.owner_namespace = Some(tag.namespace.clone());
        self.owner_name = Some(tag.name.clone());
        self.quarantined = false;
    }

    /// Whose row it is; `None`: made by others, or let go.
    pub(super) fn tag(&self, kind: RowKind) -> Option<OwnerTag> {
        let key = Key(self.key.clone()?);
        let namespace = self.owner_namespace.clone().unwrap_or_default();
        Some(OwnerTag { kind, namespace, name: self.owner_name.clone().unwrap_or_default(), key })
    }
}

/// A column of 64 bits as a field of 32: whatever others wrote, a number is shown.
pub(super) fn narrow(value: Option<i64>) -> Option<i32> {
    value.map(|value| i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX }))
}
