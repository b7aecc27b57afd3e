//! What the store can be asked to change. Each is one transaction, for the keys of all objects it is about. A session says whose turn it is
//! to write; a [`Write`] also on what condition.

use crate::backend::{CredentialOutcome, Erasing, OperatorPut, Released, Result};
use crate::domain::rows::{DesiredAccount, DesiredDepartment, DesiredOrganization, DesiredWidget, Key, OwnerTag, Row};

use super::founding::OrganizationPut;
use super::write::Write;
use super::{
    Store, accounts, admission, credentials, deletion, departments, erasure, founding, organizations, quarantine, queue, release, widgets,
};

impl Store {
    /// Makes or changes an account.
    pub async fn put_account(&self, write: impl Into<Write<'_>>, tag: &OwnerTag, desired: &DesiredAccount) -> Result<Row> {
        self.mutate(write.into(), &[&tag.key], |mut tx| async move {
            let answer = accounts::put(&mut tx, tag, desired).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Makes an organization together with its first operator, or changes it.
    pub async fn put_organization(
        &self,
        write: impl Into<Write<'_>>,
        tag: &OwnerTag,
        account: &Key,
        desired: &DesiredOrganization,
        first: Option<OperatorPut<'_>>,
    ) -> Result<(Row, Option<Row>)> {
        let put = &OrganizationPut { tag, account, desired, first };
        let mut keys = vec![&tag.key, account];
        keys.extend(put.first.as_ref().map(|first| &first.tag.key));
        self.mutate(write.into(), &keys, |mut tx| async move {
            let answer = founding::put(&mut tx, put).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Makes or changes an operator.
    pub async fn put_operator(&self, write: impl Into<Write<'_>>, organization: &Key, put: OperatorPut<'_>) -> Result<Row> {
        let put = &put;
        self.mutate(write.into(), &[&put.tag.key, organization], |mut tx| async move {
            let answer = admission::put(&mut tx, organization, put).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Records how the Secret of an operator's credentials came out.
    pub async fn settle_credentials(&self, write: impl Into<Write<'_>>, operator: &Key, outcome: &CredentialOutcome) -> Result<Row> {
        self.mutate(write.into(), &[operator], |mut tx| async move {
            let answer = credentials::settle(&mut tx, operator, outcome).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Makes or changes a department.
    pub async fn put_department(
        &self,
        write: impl Into<Write<'_>>,
        tag: &OwnerTag,
        organization: &Key,
        desired: &DesiredDepartment,
    ) -> Result<Row> {
        self.mutate(write.into(), &[&tag.key, organization], |mut tx| async move {
            let answer = departments::put(&mut tx, tag, organization, desired).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Makes or changes a widget.
    pub async fn put_widget(
        &self,
        write: impl Into<Write<'_>>,
        tag: &OwnerTag,
        organization: &Key,
        desired: &DesiredWidget,
    ) -> Result<Row> {
        self.mutate(write.into(), &[&tag.key, organization], |mut tx| async move {
            let answer = widgets::put(&mut tx, tag, organization, desired).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Remembers that an organization's starter kit was made.
    pub async fn starter_made(&self, write: impl Into<Write<'_>>, organization: &Key) -> Result<Row> {
        self.mutate(write.into(), &[organization], |mut tx| async move {
            let answer = organizations::starter_made(&mut tx, organization).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Erases one operator, department or widget, or drops its ticket.
    pub async fn delete(&self, write: impl Into<Write<'_>>, key: &Key) -> Result<()> {
        self.mutate(write.into(), &[key], |mut tx| async move {
            let answer = deletion::delete(&mut tx, key).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Erases an organization or account by one batch.
    pub async fn erase(&self, write: impl Into<Write<'_>>, key: &Key) -> Result<Erasing> {
        self.mutate(write.into(), &[key], |mut tx| async move {
            let answer = erasure::erase(&mut tx, key).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Lets an account or organization and all in it go.
    pub async fn release(&self, write: impl Into<Write<'_>>, key: &Key) -> Result<Released> {
        self.mutate(write.into(), &[key], |mut tx| async move {
            let answer = release::release(&mut tx, key).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Quarantines a row whose object vanished, and drops its ticket.
    pub async fn quarantine(&self, write: impl Into<Write<'_>>, key: &Key) -> Result<()> {
        self.mutate(write.into(), &[key], |mut tx| async move {
            let answer = quarantine::quarantine(&mut tx, key).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Drops the ticket of an object that no longer asks.
    pub async fn drop_ticket(&self, write: impl Into<Write<'_>>, key: &Key) -> Result<()> {
        self.mutate(write.into(), &[key], |mut tx| async move {
            let answer = queue::drop_of(&mut tx, key).await.map_err(Into::into);
            tx.finish(answer).await
        })
        .await
    }

    /// Marks the ticket of an object as paused, or not.
    pub async fn pause_ticket(&self, write: impl Into<Write<'_>>, key: &Key, paused: bool) -> Result<()> {
        self.mutate(write.into(), &[key], |mut tx| async move {
            let answer = queue::pause(&mut tx, key, paused).await;
            tx.finish(answer).await
        })
        .await
    }
}
