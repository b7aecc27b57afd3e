//! What the store can be asked to change. Each is one transaction: begin, work, finish.

use crate::backend::{CredentialOutcome, Erasing, OperatorPut, Released, Result, Session};
use crate::domain::rows::{DesiredAccount, DesiredDepartment, DesiredOrganization, DesiredWidget, Key, OwnerTag, Row};

use super::founding::OrganizationPut;
use super::tx::Tx;
use super::{
    Store, accounts, admission, credentials, deletion, departments, erasure, founding, organizations, quarantine, queue, release, widgets,
};

impl Store {
    /// Makes or changes an account.
    pub async fn put_account(&self, session: &Session, tag: &OwnerTag, desired: &DesiredAccount) -> Result<Row> {
        let mut tx = Tx::begin(self, session, &tag.key).await?;
        let answer = accounts::put(&mut tx, tag, desired).await;
        tx.finish(answer).await
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
        let mut tx = Tx::begin(self, session, &tag.key).await?;
        let answer = founding::put(&mut tx, &OrganizationPut { tag, account, desired, first }).await;
        tx.finish(answer).await
    }

    /// Makes or changes an operator.
    pub async fn put_operator(&self, session: &Session, organization: &Key, put: OperatorPut<'_>) -> Result<Row> {
        let mut tx = Tx::begin(self, session, &put.tag.key).await?;
        let answer = admission::put(&mut tx, organization, &put).await;
        tx.finish(answer).await
    }

    /// Records how the Secret of an operator's credentials came out.
    pub async fn settle_credentials(&self, session: &Session, operator: &Key, outcome: &CredentialOutcome) -> Result<Row> {
        let mut tx = Tx::begin(self, session, operator).await?;
        let answer = credentials::settle(&mut tx, operator, outcome).await;
        tx.finish(answer).await
    }

    /// Makes or changes a department.
    pub async fn put_department(&self, session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredDepartment) -> Result<Row> {
        let mut tx = Tx::begin(self, session, &tag.key).await?;
        let answer = departments::put(&mut tx, tag, organization, desired).await;
        tx.finish(answer).await
    }

    /// Makes or changes a widget.
    pub async fn put_widget(&self, session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredWidget) -> Result<Row> {
        let mut tx = Tx::begin(self, session, &tag.key).await?;
        let answer = widgets::put(&mut tx, tag, organization, desired).await;
        tx.finish(answer).await
    }

    /// Remembers that an organization's starter kit was made.
    pub async fn starter_made(&self, session: &Session, organization: &Key) -> Result<Row> {
        let mut tx = Tx::begin(self, session, organization).await?;
        let answer = organizations::starter_made(&mut tx, organization).await;
        tx.finish(answer).await
    }

    /// Erases one operator, department or widget, or drops its ticket.
    pub async fn delete(&self, session: &Session, key: &Key) -> Result<()> {
        let mut tx = Tx::begin(self, session, key).await?;
        let answer = deletion::delete(&mut tx, key).await;
        tx.finish(answer).await
    }

    /// Erases an organization or account by one batch.
    pub async fn erase(&self, session: &Session, key: &Key) -> Result<Erasing> {
        let mut tx = Tx::begin(self, session, key).await?;
        let answer = erasure::erase(&mut tx, key).await;
        tx.finish(answer).await
    }

    /// Lets an account or organization and all in it go.
    pub async fn release(&self, session: &Session, key: &Key) -> Result<Released> {
        let mut tx = Tx::begin(self, session, key).await?;
        let answer = release::release(&mut tx, key).await;
        tx.finish(answer).await
    }

    /// Quarantines a row whose object vanished, and drops its ticket.
    pub async fn quarantine(&self, session: &Session, key: &Key) -> Result<()> {
        let mut tx = Tx::begin(self, session, key).await?;
        let answer = quarantine::quarantine(&mut tx, key).await;
        tx.finish(answer).await
    }

    /// Drops the ticket of an object that no longer asks.
    pub async fn drop_ticket(&self, session: &Session, key: &Key) -> Result<()> {
        let mut tx = Tx::begin(self, session, key).await?;
        let answer = queue::drop_of(&mut tx, key).await.map_err(Into::into);
        tx.finish(answer).await
    }

    /// Marks the ticket of an object as paused, or not.
    pub async fn pause_ticket(&self, session: &Session, key: &Key, paused: bool) -> Result<()> {
        let mut tx = Tx::begin(self, session, key).await?;
        let answer = queue::pause(&mut tx, key, paused).await;
        tx.finish(answer).await
    }
}
