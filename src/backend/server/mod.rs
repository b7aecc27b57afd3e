//! The provider `server`: an account server, asked over HTTP.
//!
//! ```text
//! Backend ──► Client: gate (token refused? whose turn?) ──► one exchange (TLS, deadline, cap) ──► reply (answer or error)
//! wakes   ◄── streams: what the server wakes, and what others change there
//! ```
//!
//! The server is trusted with what it says about rows, and with nothing else: it can neither hold up a call, nor fill the memory, nor send
//! us elsewhere, nor put words into our mouth.

mod address;
mod client;
mod failure;
mod gate;
mod reply;
mod streams;
#[cfg(test)]
mod tests;
mod trust;

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Method;
use secrecy::SecretString;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::domain::rows::{
    AccountUsage, Answer, DesiredAccount, DesiredDepartment, DesiredOrganization, DesiredWidget, Key, OwnerTag, Reach, Row,
};

use super::wire::{
    AccountRows, FirstOperator, ObjectRef, OrganizationWritten, PutAccount, PutDepartment, PutOperator, PutOrganization, PutTicket,
    PutWidget, Rows, TakeEpoch,
};
use super::{
    Backend, Capabilities, CredentialOutcome, Cursor, Erasing, Identity, IdentityScope, OperatorPut, Page, Released, Result, Session, Wake,
};
use client::{Client, Deadlines, Request};
use streams::Streams;

/// How an account server is reached, and as whom. Has no `Debug`: it holds the token.
#[derive(Clone)]
pub struct ServerOptions {
    /// Base URL, without a slash at the end: `https://`, or `http://` on this machine.
    pub url: String,
    /// Authorities that are trusted instead of the system's: certificates in PEM.
    pub ca_bundle: Option<String>,
    /// The bearer token.
    pub token: SecretString,
    /// Owner id of this controller (rule 17).
    pub owner: String,
    /// How fast it may be asked; `None`: without a limit of ours.
    pub rate_limit: Option<RateLimit>,
}

/// How fast a server may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a second in the long run; at least 1.
    pub requests_per_second: u32,
    /// Requests at once, after a rest; at least 1.
    pub burst: u32,
}

/// An account server. Once it has refused the token it is not asked again: another token needs another `Server`.
pub struct Server {
    client: Arc<Client>,
    streams: Streams,
    owner: String,
}

impl Server {
    /// The server at that URL. Asks it nothing.
    pub fn new(options: ServerOptions) -> Result<Self> {
        Self::with(options, Deadlines::default())
    }

    fn with(options: ServerOptions, deadlines: Deadlines) -> Result<Self> {
        let client = Arc::new(Client::new(&options, deadlines)?);
        let streams = Streams::new(client.clone(), &options.owner);
        Ok(Self { client, streams, owner: options.owner })
    }

    /// Writes in a session. What comes back through the feed in its name is no news.
    fn write(&self, method: Method, path: &[&str], session: &Session) -> Result<Request<'_>> {
        self.streams.knows(session);
        self.client.write(method, path, session)
    }

    fn put(&self, path: &[&str], session: &Session) -> Result<Request<'_>> {
        self.write(Method::PUT, path, session)
    }

    /// A page, which begins after `after`.
    fn page_of<'q>(&self, path: &[&str], mut query: Vec<(&'q str, &'q str)>, after: Option<&'q Cursor>) -> Result<Request<'_>> {
        query.extend(after.map(|cursor| ("cursor", cursor.0.as_str())));
        Ok(self.client.get(path, &query)?.paged())
    }
}

#[async_trait]
impl Backend for Server {
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
        self.client.get(&["v1", "store"], &[("owner", &self.owner)])?.answer().await
    }

    async fn begin_epoch(&self) -> Result<Session> {
        let session = self.client.post(&["v1", "epochs"])?.json(&TakeEpoch { owner: self.owner.clone() }).answer().await?;
        self.streams.knows(&session);
        Ok(session)
    }

    fn take_wakes(&self) -> Option<UnboundedReceiver<Wake>> {
        Some(self.streams.follow())
    }

    async fn accounts(&self, after: Option<Cursor>) -> Result<(Vec<Row>, Option<Cursor>)> {
        let query = vec![("owner", self.owner.as_str())];
        let page: Rows = self.page_of(&["v1", "accounts"], query, after.as_ref())?.answer().await?;
        Ok((page.rows, page.next.map(Cursor)))
    }

    async fn page(&self, account: &Key, after: Option<Cursor>) -> Result<Page> {
        let page: AccountRows = self.page_of(&["v1", "accounts", &account.0, "rows"], Vec::new(), after.as_ref())?.answer().await?;
        let tickets = page.tickets.into_iter().map(|ticket| (ticket.tag, ticket.ticket)).collect();
        Ok(Page { rows: page.rows, tickets, next: page.next.map(Cursor) })
    }

    async fn lookup(&self, key: &Key) -> Result<Answer> {
        self.client.lookup(key).await
    }

    async fn usage(&self, account: &Key) -> Result<AccountUsage> {
        self.client.get(&["v1", "accounts", &account.0, "usage"], &[])?.paged().answer().await
    }

    async fn reach(&self, organization: &Key) -> Result<Reach> {
        self.client.get(&["v1", "organizations", &organization.0, "reach"], &[])?.answer().await
    }

    async fn put_account(&self, session: &Session, tag: &OwnerTag, desired: &DesiredAccount) -> Result<Row> {
        let body = PutAccount { object: ObjectRef::of(tag), desired: desired.clone() };
        self.put(&["v1", "accounts", &tag.key.0], session)?.json(&body).answer().await
    }

    async fn put_organization(
        &self,
        session: &Session,
        tag: &OwnerTag,
        account: &Key,
        desired: &DesiredOrganization,
        first: Option<OperatorPut<'_>>,
    ) -> Result<(Row, Option<Row>)> {
        let first_operator = first.map(FirstOperator::from);
        let body = PutOrganization { object: ObjectRef::of(tag), account: account.clone(), desired: desired.clone(), first_operator };
        let written: OrganizationWritten = self.put(&["v1", "organizations", &tag.key.0], session)?.json(&body).answer().await?;
        Ok((written.organization, written.first_operator))
    }

    async fn put_operator(&self, session: &Session, organization: &Key, put: OperatorPut<'_>) -> Result<Row> {
        let OperatorPut { tag, desired, intent } = put;
        let object = ObjectRef::of(tag);
        let body = PutOperator { object, organization: organization.clone(), desired: desired.clone(), credentials: intent.cloned() };
        self.put(&["v1", "operators", &tag.key.0], session)?.json(&body).answer().await
    }

    async fn settle_credentials(&self, session: &Session, operator: &Key, outcome: CredentialOutcome) -> Result<Row> {
        self.put(&["v1", "operators", &operator.0, "credentials"], session)?.json(&outcome).answer().await
    }

    async fn put_department(&self, session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredDepartment) -> Result<Row> {
        let body = PutDepartment { object: ObjectRef::of(tag), organization: organization.clone(), desired: desired.clone() };
        self.put(&["v1", "departments", &tag.key.0], session)?.json(&body).answer().await
    }

    async fn put_widget(&self, session: &Session, tag: &OwnerTag, organization: &Key, desired: &DesiredWidget) -> Result<Row> {
        let body = PutWidget { object: ObjectRef::of(tag), organization: organization.clone(), desired: desired.clone() };
        self.put(&["v1", "widgets", &tag.key.0], session)?.json(&body).answer().await
    }

    async fn starter_made(&self, session: &Session, organization: &Key) -> Result<Row> {
        self.put(&["v1", "organizations", &organization.0, "starter-kit"], session)?.answer().await
    }

    async fn delete(&self, session: &Session, key: &Key) -> Result<()> {
        self.write(Method::DELETE, &["v1", "keys", &key.0], session)?.done().await
    }

    async fn erase(&self, session: &Session, key: &Key) -> Result<Erasing> {
        self.write(Method::POST, &["v1", "keys", &key.0, "erase"], session)?.answer().await
    }

    async fn release(&self, session: &Session, key: &Key) -> Result<Released> {
        self.write(Method::POST, &["v1", "keys", &key.0, "release"], session)?.answer().await
    }

    async fn quarantine(&self, session: &Session, key: &Key) -> Result<()> {
        self.write(Method::POST, &["v1", "keys", &key.0, "quarantine"], session)?.done().await
    }

    async fn drop_ticket(&self, session: &Session, key: &Key) -> Result<()> {
        self.write(Method::DELETE, &["v1", "keys", &key.0, "ticket"], session)?.done().await
    }

    async fn pause_ticket(&self, session: &Session, key: &Key, paused: bool) -> Result<()> {
        self.put(&["v1", "keys", &key.0, "ticket"], session)?.json(&PutTicket { paused }).done().await
    }
}

impl Client {
    async fn lookup(&self, key: &Key) -> Result<Answer> {
        self.get(&["v1", "keys", &key.0], &[])?.answer().await
    }
}
