//! What rows of all kinds have in common: their id, whose they are, and whether their object vanished.

use sqlx::FromRow;

use crate::backend::{BackendError, Session};
use crate::domain::rows::{Key, OwnerTag, RowKind};

use super::error::{Step, Stop};
use super::tx::Tx;
use super::{external, keys};

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
    /// Of a row yet to be inserted. A key names one row: `Invalid` where it names one already, which then is of another kind.
    pub(super) async fn new(tx: &mut Tx, tag: &OwnerTag) -> Step<Self> {
        if let Some((kind, _)) = keys::find(tx.conn(), &tag.key).await? {
            let message = format!("is the key of a row of the kind {} already; every object has a key of its own", kind.as_str());
            return Err(Stop::Failed(BackendError::Invalid { field: "metadata.uid".into(), message }));
        }
        let mut head = Self {
            id: 0,
            external_id: external::row_id(tag.kind).map_err(Stop::Failed)?,
            key: None,
            owner: None,
            owner_namespace: None,
            owner_name: None,
            quarantined: false,
        };
        head.claim(&tx.session, tag);
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
