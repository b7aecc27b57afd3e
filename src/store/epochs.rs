//! Which store this is, and whose turn it is to write (rules 13 and 21).

use crate::backend::{Identity, Session};

use super::Store;
use super::db::Conn;
use super::error::StoreError;
use crate::backend::Result;

/// The id of the store, made at its first start.
pub(super) async fn establish(conn: &mut Conn, new_id: &str) -> std::result::Result<String, StoreError> {
    sqlx::query("INSERT INTO meta (only_row, store_id) VALUES (1, $1) ON CONFLICT (only_row) DO NOTHING")
        .bind(new_id)
        .execute(&mut *conn)
        .await?;
    Ok(sqlx::query_scalar("SELECT store_id FROM meta WHERE only_row = 1").fetch_one(conn).await?)
}

impl Store {
    /// Which store this is, and the highest epoch of its owner. Reads only.
    pub async fn identify(&self) -> Result<Identity> {
        let mut snapshot = self.reader().snapshot().await?;
        let epoch =
            sqlx::query_scalar("SELECT epoch FROM epochs WHERE owner = $1").bind(&self.owner).fetch_optional(&mut *snapshot).await?;
        let store_id = sqlx::query_scalar("SELECT store_id FROM meta WHERE only_row = 1").fetch_one(&mut *snapshot).await?;
        Ok(Identity { store_id, epoch: epoch.unwrap_or_default(), version: env!("CARGO_PKG_VERSION").to_owned() })
    }

    /// Takes the next epoch of the store's owner: every session before it is fenced.
    pub async fn begin_epoch(&self) -> Result<Session> {
        let mut writer = self.writer().await;
        let sql =
            "INSERT INTO epochs (owner, epoch) VALUES ($1, 1) ON CONFLICT (owner) DO UPDATE SET epoch = epochs.epoch + 1 RETURNING epoch";
        let epoch = sqlx::query_scalar(sql).bind(&self.owner).fetch_one(writer.idle().await).await?;
        Ok(Session { owner: self.owner.clone(), epoch, store_id: self.id.clone() })
    }
}
