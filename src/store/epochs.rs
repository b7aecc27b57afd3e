//! Which store this is, and whose turn it is to write (rules 13 and 21).

use crate::backend::{BackendError, Identity, Result, Session};

use super::db::{Database, Scope, query};
use super::error::{Stop, StoreError};
use super::tx::Tx;
use super::write::Once;
use super::{Store, values};

/// The id of the store that is in the database.
pub(super) const STORE_ID: &str = "SELECT store_id FROM meta WHERE only_row = 1";

/// The id of the store, made at its first start.
pub(super) async fn establish(database: &Database, new_id: &str) -> std::result::Result<String, StoreError> {
    let mut conn = database.begin(Scope::Store).await?;
    query("INSERT INTO meta (only_row, store_id) VALUES (1, $1) ON CONFLICT (only_row) DO NOTHING").bind(new_id).execute(&mut conn).await?;
    let id = query(STORE_ID).scalar(&mut conn).await?;
    conn.own_numbers().await?;
    conn.commit().await?;
    Ok(id)
}

impl Store {
    /// Which store this is, and the highest epoch of an owner. Reads only.
    pub async fn identify(&self, owner: &str) -> Result<Identity> {
        let mut snapshot = self.reader().snapshot().await?;
        let epoch: Option<i64> = query("SELECT epoch FROM epochs WHERE owner = $1").bind(owner).scalar_optional(&mut snapshot).await?;
        let store_id: String = query(STORE_ID).scalar(&mut snapshot).await?;
        self.is_still(&store_id);
        Ok(Identity { store_id, epoch: epoch.unwrap_or_default(), version: env!("CARGO_PKG_VERSION").to_owned() })
    }

    /// Takes the next epoch of an owner: every session of it before is fenced, once what it has begun is committed. Other owners' are not.
    pub async fn begin_epoch(&self, owner: &str) -> Result<Session> {
        self.begin_epoch_once(owner, None).await
    }

    /// The same, once however often it is asked for. Should another epoch have been taken meanwhile, what is answered again is fenced.
    pub async fn begin_epoch_once(&self, owner: &str, once: Option<&Once>) -> Result<Session> {
        values::owner(owner)?;
        let session = |epoch| Session { owner: owner.to_owned(), epoch, store_id: self.id.clone() };
        let mut tx = Tx::begin(self, Scope::Epoch { store: &self.id, owner }, session(0)).await?;
        if let Some(answer) = tx.answered(once).await? {
            return Ok(tx.finish(Ok(answer)).await?);
        }
        let found: String = query(STORE_ID).scalar(tx.conn()).await?;
        if !self.is_still(&found) {
            return Ok(tx.finish(Err(Stop::Failed(BackendError::WrongStore { found }))).await?);
        }
        let sql =
            "INSERT INTO epochs (owner, epoch) VALUES ($1, 1) ON CONFLICT (owner) DO UPDATE SET epoch = epochs.epoch + 1 RETURNING epoch";
        let epoch = query(sql).bind(owner).scalar(tx.conn()).await?;
        tx.changed = true;
        Ok(tx.finish(Ok(session(epoch))).await?)
    }
}
