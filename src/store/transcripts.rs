//! Transcripts: nothing writes them yet but tests; their erasure is part of an organization's.

use crate::backend::{BackendError, Result, Session};
use crate::domain::rows::{Key, RowKind};

use super::db::query;
use super::error::{Step, refused};
use super::tx::Tx;
use super::{Store, organizations};

impl Store {
    /// Inserts transcripts into an organization.
    pub async fn insert_transcripts(&self, session: &Session, organization: &Key, contents: &[String]) -> Result<()> {
        self.mutate(session.into(), &[organization], |mut tx| async move {
            let answer = insert(&mut tx, organization, contents).await;
            tx.finish(answer).await
        })
        .await
    }
}

async fn insert(tx: &mut Tx, organization: &Key, contents: &[String]) -> Step<()> {
    let Some(organization) = organizations::find(tx.conn(), organization).await?.filter(|found| !found.erasing) else {
        return refused(BackendError::ParentNotFound(RowKind::Organization));
    };
    for content in contents {
        let sql = "INSERT INTO transcripts (organization, started_at, content) VALUES ($1, $2, $3)";
        let now = tx.now.clone();
        query(sql).bind(organization.head.id).bind(now).bind(content).execute(tx.conn()).await?;
        tx.changed = true;
    }
    Ok(())
}
