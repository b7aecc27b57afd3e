//! The embedded backend, with faults at its writes.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::backend::embedded::Embedded;
use crate::backend::{
    Backend, BackendError, Capabilities, CredentialOutcome, Cursor, Erasing, Identity, OperatorPut, Page, Released, Result, Session, Wake,
};
use crate::domain::rows::{
    AccountUsage, Answer, DesiredAccount, DesiredDepartment, DesiredOrganization, DesiredWidget, Key, OwnerTag, Reach, Row,
};

use super::script::{Fault, Script};

/// The embedded backend whose writes go by the script.
pub struct Faulty {
    /// The real one.
    pub inner: Embedded,
    /// What goes wrong.
    pub script: Arc<Script>,
}

impl Faulty {
    async fn write<T>(&self, what: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.script.store_write(what) {
            Some(Fault::DieBefore | Fault::Refuse(_)) => Err(BackendError::Transient("scripted".to_owned())),
            Some(Fault::DieAfter | Fault::LoseReply) => {
                call.await?;
                Err(BackendError::OutcomeUnknown("scripted".to_owned()))
            }
            None => call.await,
        }
    }
}

/// Writes of the trait that are passed on by the script.
macro_rules! scripted {
    ($($name:ident($($argument:ident: $type:ty),*) -> $output:ty;)+) => {
        #[async_trait]
        impl Backend for Faulty {
            fn capabilities(&self) -> Capabilities {
                self.inner.capabilities()
            }
            fn take_wakes(&self) -> Option<UnboundedReceiver<Wake>> {
                self.inner.take_wakes()
            }
            async fn identify(&self) -> Result<Identity> {
                self.inner.identify().await
            }
            async fn begin_epoch(&self) -> Result<Session> {
                self.inner.begin_epoch().await
            }
            async fn accounts(&self, after: Option<Cursor>) -> Result<(Vec<Row>, Option<Cursor>)> {
                self.inner.accounts(after).await
            }
            async fn page(&self, account: &Key, after: Option<Cursor>) -> Result<Page> {
                self.inner.page(account, after).await
            }
            async fn lookup(&self, key: &Key) -> Result<Answer> {
                self.inner.lookup(key).await
            }
            async fn usage(&self, account: &Key) -> Result<AccountUsage> {
                self.inner.usage(account).await
            }
            async fn reach(&self, organization: &Key) -> Result<Reach> {
                self.inner.reach(organization).await
            }
            $(async fn $name(&self, session: &Session, $($argument: $type),*) -> Result<$output> {
                self.write(stringify!($name), self.inner.$name(session, $($argument),*)).await
            })+
        }
    };
}

scripted! {
    put_account(tag: &OwnerTag, desired: &DesiredAccount) -> Row;
    put_organization(tag: &OwnerTag, account: &Key, desired: &DesiredOrganization, first: Option<OperatorPut<'_>>) -> (Row, Option<Row>);
    put_operator(organization: &Key, put: OperatorPut<'_>) -> Row;
    settle_credentials(operator: &Key, outcome: CredentialOutcome) -> Row;
    put_department(tag: &OwnerTag, organization: &Key, desired: &DesiredDepartment) -> Row;
    put_widget(tag: &OwnerTag, organization: &Key, desired: &DesiredWidget) -> Row;
    starter_made(organization: &Key) -> Row;
    delete(key: &Key) -> ();
    erase(key: &Key) -> Erasing;
    release(key: &Key) -> Released;
    quarantine(key: &Key) -> ();
    drop_ticket(key: &Key) -> ();
    pause_ticket(key: &Key, paused: bool) -> ();
}
