//! What the store can be asked to change. Each is one transaction, for the keys of all objects it is about.

use crate::backend::{CredentialOutcome, Erasing, OperatorPut, Released, Result, Session};
use crate::domain::rows::{DesiredAccount, DesiredDepartment, DesiredOrganization, DesiredWidget, Key, OwnerTag, Row};

use super::founding::OrganizationPut;
use super::{
    Store, accounts, admission, credentials, deletion, departments, erasure, founding, organizations, quarantine, queue, release, widgets,
};

impl Store {
    /// Makes or changes an account.
    pub async fn put_account(&self, session: &Session, tag: &OwnerTag, desired: &DesiredAccount) -> Result<Row> {
        self.mutate(session, &[&tag.key], |mut tx| async move {
            let answer = accounts::put(&mut tx, tag, desired).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Makes an organization together with its first operator, or changes it.
    pub async fn put_organization(
        &self,
        session: &Session,
        tag: &OwnerTag,
        account: &Key,
        desired: &DesiredOrganization,
        first: Option<OperatorPut<'_>>,
    ) -> Result<(Row, Option<Row>)> {
        let put = &OrganizationPut { tag, account, desired, first };
        let mut keys = vec![&tag.key, account];
        keys.extend(put.first.as_ref().map(|first| &first.tag.key));
        self.mutate(session, &keys, |mut tx| async move {
            let answer = founding::put(&mut tx, put).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Makes or changes an operator.
    pub async fn put_operator(&self, session: &Session, organization: &Key, put: OperatorPut<'_>) -> Result<Row> {
        let put = &put;
        self.mutate(session, &[&put.tag.key, organization], |mut tx| async move {
            let answer = admission::put(&mut tx, organization, put).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Records how the Secret of an operator's credentials came out.
    pub async fn settle_credentials(&self, session: &Session, operator: &Key, outcome: &CredentialOutcome) -> Result<Row> {
        self.mutate(session, &[operator], |mut tx| async move {
            let answer = credentials::settle(&mut tx, operator, outcome).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Makes or changes a department.
    pub async fn put_department(&self, session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredDepartment) -> Result<Row> {
        self.mutate(session, &[&tag.key, organization], |mut tx| async move {
            let answer = departments::put(&mut tx, tag, organization, desired).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Makes or changes a widget.
    pub async fn put_widget(&self, session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredWidget) -> Result<Row> {
        self.mutate(session, &[&tag.key, organization], |mut tx| async move {
            let answer = widgets::put(&mut tx, tag, organization, desired).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Remembers that an organization's starter kit was made.
    pub async fn starter_made(&self, session: &Session, organization: &Key) -> Result<Row> {
        self.mutate(session, &[organization], |mut tx| async move {
            let answer = organizations::starter_made(&mut tx, organization).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Erases one operator, department or widget, or drops its ticket.
    pub async fn delete(&self, session: &Session, key: &Key) -> Result<()> {
        self.mutate(session, &[key], |mut tx| async move {
            let answer = deletion::delete(&mut tx, key).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Erases an organization or account by one batch.
    pub async fn erase(&self, session: &Session, key: &Key) -> Result<Erasing> {
        self.mutate(session, &[key], |mut tx| async move {
            let answer = erasure::erase(&mut tx, key).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Lets an account or organization and all in it go.
    pub async fn release(&self, session: &Session, key: &Key) -> Result<Released> {
        self.mutate(session, &[key], |mut tx| async move {
            let answer = release::release(&mut tx, key).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Quarantines a row whose object vanished, and drops its ticket.
    pub async fn quarantine(&self, session: &Session, key: &Key) -> Result<()> {
        self.mutate(session, &[key], |mut tx| async move {
            let answer = quarantine::quarantine(&mut tx, key).await;
            tx.finish(answer).await
        })
        .await
    }

    /// Drops the ticket of an object that no longer asks.
    pub async fn drop_ticket(&self, session: &Session, key: &Key) -> Result<()> {
        self.mutate(session, &[key], |mut tx| async move {
            let answer = queue::drop_of(&mut tx, key).await.map_err(Into::into);
            tx.finish(answer).await
        })
        .await
    }

    /// Marks the ticket of an object as paused, or not.
    pub async fn pause_ticket(&self, session: &Session, key: &Key, paused: bool) -> Result<()> {
        self.mutate(session, &[key], |mut tx| async move {
            let answer = queue::pause(&mut tx, key, paused).await;
            tx.finish(answer).await
        })
        .await
    }
}
