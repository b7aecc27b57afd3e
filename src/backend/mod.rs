//! How the controller talks to an account backend: one trait, its errors, and one file a provider.
//!
//! Every operation is idempotent by key. Every mutation carries the [`Session`], whose epoch and store id the backend tests
//! in the transaction that writes: a deposed controller is [`BackendError::Fenced`], another store is [`BackendError::WrongStore`].

pub mod embedded;
pub mod error;
pub mod problem;
pub mod server;
pub mod wire;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedReceiver;
use utoipa::ToSchema;

use crate::domain::rows::{
    AccountUsage, Answer, DesiredAccount, DesiredDepartment, DesiredOperator, DesiredOrganization, DesiredWidget, Key, OwnerTag, Reach,
    Row, TicketView,
};

pub use error::{BackendError, Result};

/// The longest time that a backend, or the API server, may ask us to wait.
pub const MAX_WAIT: Duration = Duration::from_secs(100);

/// Which store answered, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Random id of the store, made with it.
    pub store_id: String,
    /// The highest epoch our owner id has taken in it; 0: none.
    pub epoch: i64,
    /// Version of the backend.
    pub version: String,
}

/// The right to write: who we are, since when, and into which store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Owner id of this controller (rule 17).
    pub owner: String,
    /// The epoch this process took; an older one is fenced.
    pub epoch: i64,
    /// The store it was taken in.
    pub store_id: String,
}

/// What a backend can do. What it cannot is `Unsupported`, said at creation.
#[allow(clippy::struct_excessive_bools, reason = "independent yes/no facts, each with its own name in status.capabilities")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Rows are found by our key.
    pub keyed: bool,
    /// Mutations are tested against the epoch.
    pub fenced: bool,
    /// Reads may be older than our writes.
    pub read_lag: bool,
    /// Erasure is complete when it says so.
    pub hard_delete: bool,
    /// Within what an e-mail names one person.
    pub identity_scope: IdentityScope,
    /// Roles are stored and compared.
    pub roles: bool,
    /// The backend itself refuses more operators than seats.
    pub seats_enforced: bool,
}

/// Within what an e-mail names one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityScope {
    /// Within an organization.
    Organization,
    /// Within an account.
    Account,
    /// Everywhere.
    Global,
}

/// A page of an account's rows and tickets.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Rows: the account's own first, then organizations, operators, departments, widgets. Unmanaged ones are left out.
    pub rows: Vec<Row>,
    /// Tickets of the account, after all rows.
    pub tickets: Vec<(OwnerTag, TicketView)>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<Cursor>,
}

/// Where a listing goes on: opaque to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// A password on its way into a Secret (rule 10): its salted hash, and the Secret's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialIntent {
    /// `sha256$<salt>$<hex>`.
    pub hash: String,
    /// Name of the Secret.
    pub secret_name: String,
}

/// How the creation of a Secret ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum CredentialOutcome {
    /// The Secret was made with the password of this hash: it becomes active, whatever the intent held.
    Created {
        /// Hash of the password in the Secret.
        hash: String,
    },
    /// The Secret of an earlier intent of ours is there: the intent's hash becomes active.
    FoundFromIntent,
    /// The Secret belongs to somebody else, was never made, or is not wanted any more: the intent, or the active hash, is dropped.
    Dropped,
}

/// An operator to write: whose, and what.
#[derive(Clone, Debug)]
pub struct OperatorPut<'a> {
    /// Whose row it is.
    pub tag: &'a OwnerTag,
    /// What it should be.
    pub desired: &'a DesiredOperator,
    /// Recorded with the row, unless it has an intent or active credentials.
    pub intent: Option<&'a CredentialIntent>,
}

/// How far an erasure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Erasing {
    /// Rows left; 0: done, the row itself is gone too.
    pub remaining: i64,
}

/// What a release let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Released {
    /// Rows whose key and owner tag were cleared.
    pub rows: i64,
}

/// The object of `tag` should be looked at again: its ticket changed, or something it waited for happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wake {
    /// Whose object.
    pub tag: OwnerTag,
    /// Its ticket as it is now, when that is what changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<TicketView>,
}

/// An account backend.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Which store this is. Reads only.
    async fn identify(&self) -> Result<Identity>;

    /// Takes a new epoch: every session before it is fenced from here on.
    async fn begin_epoch(&self) -> Result<Session>;

    /// The stream of wakes, sent after the commit that caused them. To be taken once, by the controller's runner. It ends when there is
    /// nothing to hear any more: our credentials are refused.
    fn take_wakes(&self) -> Option<UnboundedReceiver<Wake>>;

    /// Keys of all accounts with our owner tag, and of quarantined ones; for the sweep after a start. Paged.
    async fn accounts(&self, after: Option<Cursor>) -> Result<(Vec<Row>, Option<Cursor>)>;

    /// One page of an account's rows and tickets.
    async fn page(&self, account: &Key, after: Option<Cursor>) -> Result<Page>;

    /// What is known of one key.
    async fn lookup(&self, key: &Key) -> Result<Answer>;

    /// What an account uses.
    async fn usage(&self, account: &Key) -> Result<AccountUsage>;

    /// Who can be reached in an organization.
    async fn reach(&self, organization: &Key) -> Result<Reach>;

    /// Makes or changes an account. Raised limits grant waiting tickets.
    async fn put_account(&self, session: &Session, tag: &OwnerTag, desired: &DesiredAccount) -> Result<Row>;

    /// Makes or changes an organization. With no row yet, `first` is required and both rows are written in one transaction;
    /// later it is ignored. Returns the organization's row, and the first operator's when it was made.
    async fn put_organization(
        &self,
        session: &Session,
        tag: &OwnerTag,
        account: &Key,
        desired: &DesiredOrganization,
        first: Option<OperatorPut<'_>>,
    ) -> Result<(Row, Option<Row>)>;

    /// Makes or changes an operator. May take the seat of one that leaves (rule 7).
    async fn put_operator(&self, session: &Session, organization: &Key, put: OperatorPut<'_>) -> Result<Row>;

    /// Records how the Secret of an operator's credentials came out.
    async fn settle_credentials(&self, session: &Session, operator: &Key, outcome: CredentialOutcome) -> Result<Row>;

    /// Makes or changes a department.
    async fn put_department(&self, session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredDepartment) -> Result<Row>;

    /// Makes or changes a widget.
    async fn put_widget(&self, session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredWidget) -> Result<Row>;

    /// Remembers that an organization's starter kit was made.
    async fn starter_made(&self, session: &Session, organization: &Key) -> Result<Row>;

    /// Erases one operator, department or widget, or drops its ticket. Nothing to erase is no error.
    async fn delete(&self, session: &Session, key: &Key) -> Result<()>;

    /// Erases an organization, or an account without managed organizations, by one bounded batch. Call again until nothing remains.
    async fn erase(&self, session: &Session, key: &Key) -> Result<Erasing>;

    /// Lets an account or organization and all in it go, untouched (rule 15).
    async fn release(&self, session: &Session, key: &Key) -> Result<Released>;

    /// Quarantines a row whose object vanished (rule 18), and drops its ticket.
    async fn quarantine(&self, session: &Session, key: &Key) -> Result<()>;

    /// Drops the ticket of an object that no longer asks.
    async fn drop_ticket(&self, session: &Session, key: &Key) -> Result<()>;

    /// Marks the ticket of an object as paused, or not: a paused ticket keeps its number and is skipped.
    async fn pause_ticket(&self, session: &Session, key: &Key, paused: bool) -> Result<()>;
}
