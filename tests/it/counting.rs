//! A backend that counts how often it is asked what.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use deskplane::backend::embedded::Embedded;
use deskplane::backend::{
    Backend, Capabilities, CredentialOutcome, Cursor, Erasing, Identity, OperatorPut, Page, Released, Result, Session, Wake,
};
use deskplane::domain::rows::{
    AccountUsage, Answer, DesiredAccount, DesiredDepartment, DesiredOrganization, DesiredWidget, Key, OwnerTag, Reach, Row,
};
use tokio::sync::mpsc::UnboundedReceiver;

/// The embedded backend, and its calls by name.
pub struct Counting {
    backend: Embedded,
    calls: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

/// What was asked, how often.
pub type Calls = Arc<Mutex<BTreeMap<&'static str, usize>>>;

impl Counting {
    /// Counts the calls to this backend.
    pub fn new(backend: Embedded) -> (Self, Calls) {
        let calls = Calls::default();
        (Self { backend, calls: calls.clone() }, calls)
    }
}

/// `name(argument: Type, ...) -> Answer` for each: counted, then passed on.
macro_rules! counted {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        #[async_trait]
        impl Backend for Counting {
            fn capabilities(&self) -> Capabilities {
                self.backend.capabilities()
            }

            fn take_wakes(&self) -> Option<UnboundedReceiver<Wake>> {
                self.backend.take_wakes()
            }

            async fn put_organization(
                &self,
                session: &Session,
                tag: &OwnerTag,
                account: &Key,
                desired: &DesiredOrganization,
                first: Option<OperatorPut<'_>>,
            ) -> Result<(Row, Option<Row>)> {
                *self.calls.lock().unwrap().entry("put_organization").or_default() += 1;
                self.backend.put_organization(session, tag, account, desired, first).await
            }

            async fn put_operator(&self, session: &Session, organization: &Key, put: OperatorPut<'_>) -> Result<Row> {
                *self.calls.lock().unwrap().entry("put_operator").or_default() += 1;
                self.backend.put_operator(session, organization, put).await
            }

            $(async fn $name(&self, $($argument: $type),*) -> Result<$answer> {
                *self.calls.lock().unwrap().entry(stringify!($name)).or_default() += 1;
                self.backend.$name($($argument),*).await
            })+
        }
    };
}

counted! {
    identify() -> Identity;
    begin_epoch() -> Session;
    accounts(after: Option<Cursor>) -> (Vec<Row>, Option<Cursor>);
    page(account: &Key, after: Option<Cursor>) -> Page;
    lookup(key: &Key) -> Answer;
    usage(account: &Key) -> AccountUsage;
    reach(organization: &Key) -> Reach;
    put_account(session: &Session, tag: &OwnerTag, desired: &DesiredAccount) -> Row;
    settle_credentials(session: &Session, operator: &Key, outcome: CredentialOutcome) -> Row;
    put_department(session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredDepartment) -> Row;
    put_widget(session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredWidget) -> Row;
    starter_made(session: &Session, organization: &Key) -> Row;
    delete(session: &Session, key: &Key) -> ();
    erase(session: &Session, key: &Key) -> Erasing;
    release(session: &Session, key: &Key) -> Released;
    quarantine(session: &Session, key: &Key) -> ();
    drop_ticket(session: &Session, key: &Key) -> ();
    pause_ticket(session: &Session, key: &Key, paused: bool) -> ();
}
