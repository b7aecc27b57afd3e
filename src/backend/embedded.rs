//! The embedded provider: the account store inside the controller.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::domain::rows::{
    AccountUsage, Answer, DesiredAccount, DesiredDepartment, DesiredOrganization, DesiredWidget, Key, OwnerTag, Reach, Row,
};
use crate::store::Store;

use super::{
    Backend, Capabilities, CredentialOutcome, Cursor, Erasing, Identity, IdentityScope, OperatorPut, Page, Released, Result, Session, Wake,
};

/// The account store of this process, for one owner.
#[derive(Clone, Debug)]
pub struct Embedded {
    store: Arc<Store>,
    owner: String,
}

impl Embedded {
    /// Serves a store to `owner`: the owner id of a controller (rule 17).
    pub fn new(store: Arc<Store>, owner: impl Into<String>) -> Self {
        Self { store, owner: owner.into() }
    }
}

#[async_trait]
impl Backend for Embedded {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            keyed: true,
            fenced: true,
            read_lag: false,
            hard_delete: true,
            identity_scope: IdentityScope::Organization,
            roles: true,
            seats_enforced: true,
        }
    }

    async fn identify(&self) -> Result<Identity> {
        self.store.identify(&self.owner).await
    }

    async fn begin_epoch(&self) -> Result<Session> {
        self.store.begin_epoch(&self.owner).await
    }

    fn take_wakes(&self) -> Option<UnboundedReceiver<Wake>> {
        Some(self.store.take_wakes(&self.owner))
    }

    async fn accounts(&self, after: Option<Cursor>) -> Result<(Vec<Row>, Option<Cursor>)> {
        self.store.accounts(&self.owner, after.as_ref()).await
    }

    async fn page(&self, account: &Key, after: Option<Cursor>) -> Result<Page> {
        self.store.page(account, after.as_ref()).await
    }

    async fn lookup(&self, key: &Key) -> Result<Answer> {
        self.store.lookup(key).await
    }

    async fn usage(&self, account: &Key) -> Result<AccountUsage> {
        self.store.usage(account).await
    }

    async fn reach(&self, organization: &Key) -> Result<Reach> {
        self.store.reach(organization).await
    }

    async fn put_account(&self, session: &Session, tag: &OwnerTag, desired: &DesiredAccount) -> Result<Row> {
        self.store.put_account(session, tag, desired).await
    }

    async fn put_organization(
        &self,
        session: &Session,
        tag: &OwnerTag,
        account: &Key,
        desired: &DesiredOrganization,
        first: Option<OperatorPut<'_>>,
    ) -> Result<(Row, Option<Row>)> {
        self.store.put_organization(session, tag, account, desired, first).await
    }

    async fn put_operator(&self, session: &Session, organization: &Key, put: OperatorPut<'_>) -> Result<Row> {
        self.store.put_operator(session, organization, put).await
    }

    async fn settle_credentials(&self, session: &Session, operator: &Key, outcome: CredentialOutcome) -> Result<Row> {
        self.store.settle_credentials(session, operator, &outcome).await
    }

    async fn put_department(&self, session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredDepartment) -> Result<Row> {
        self.store.put_department(session, tag, organization, desired).await
    }

    async fn put_widget(&self, session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredWidget) -> Result<Row> {
        self.store.put_widget(session, tag, organization, desired).await
    }

    async fn starter_made(&self, session: &Session, organization: &Key) -> Result<Row> {
        self.store.starter_made(session, organization).await
    }

    async fn delete(&self, session: &Session, key: &Key) -> Result<()> {
        self.store.delete(session, key).await
    }

    async fn erase(&self, session: &Session, key: &Key) -> Result<Erasing> {
        self.store.erase(session, key).await
    }

    async fn release(&self, session: &Session, key: &Key) -> Result<Released> {
        self.store.release(session, key).await
    }

    async fn quarantine(&self, session: &Session, key: &Key) -> Result<()> {
        self.store.quarantine(session, key).await
    }

    async fn drop_ticket(&self, session: &Session, key: &Key) -> Result<()> {
        self.store.drop_ticket(session, key).await
    }

    async fn pause_ticket(&self, session: &Session, key: &Key, paused: bool) -> Result<()> {
        self.store.pause_ticket(session, key, paused).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rows::{Answer, RowKind};
    use crate::domain::seats::Limits;

    #[tokio::test]
    async fn it_serves_as_a_backend() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let store = Store::open(&folder.path().join("deskplane.db")).await.expect("a store");
        let backend: Arc<dyn Backend> = Arc::new(Embedded::new(Arc::new(store), "owner"));
        assert!(backend.capabilities().fenced && backend.take_wakes().is_some());
        let session = backend.begin_epoch().await.expect("an epoch");
        assert_eq!(backend.identify().await.expect("an identity").epoch, 1);
        let tag = OwnerTag { kind: RowKind::Account, namespace: "chat".into(), name: "acme".into(), key: "uid".into() };
        let desired = DesiredAccount { owner_email: "ada@acme.example".into(), owner_display_name: None, limits: Limits::default() };
        let row = backend.put_account(&session, &tag, &desired).await.expect("a row");
        assert_eq!(backend.lookup(&tag.key).await, Ok(Answer::Present(Box::new(row))));
        assert_eq!(backend.lookup(&"other".into()).await, Ok(Answer::Unknown));
    }
}
