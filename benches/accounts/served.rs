//! The account server, as a process, over real HTTP on this machine.

use deskplane::backend::wire::{Changes, ObjectRef, PutOperator, collection};
use deskplane::domain::changes::ChangeCursor;
use deskplane::domain::rows::{DesiredOperator, RowKind};

use crate::it::account_server::{AccountServer, Person};
use crate::place::{OWNER, Place, key, operator, organization, person, tag};
use crate::{Result, said};

/// A running server, and somebody who may do everything.
pub struct Served {
    server: AccountServer,
    person: Person,
    turn: Vec<(&'static str, String)>,
}

impl Served {
    /// Starts a server on a store that nobody else has open.
    pub async fn start(place: &Place) -> Self {
        // All its clients here have one token.
        let args = ["--listen", "127.0.0.1:0", "--requests-per-second", "1000000", "--burst", "1000000"];
        let server = AccountServer::start_with(Some(place.url.clone()), &args, &[]).await;
        let person = server.admin();
        let turn = person.begin(OWNER).await;
        Self { server, person, turn }
    }

    /// Makes an operator, or finds it unchanged.
    pub async fn put(&self, number: u32) -> Result<()> {
        self.put_desired(number, person(&operator(number))).await
    }

    /// Makes an operator, or changes it.
    pub async fn put_desired(&self, number: u32, desired: DesiredOperator) -> Result<()> {
        let (name, organization) = (operator(number), key(&organization(number)));
        let object = ObjectRef::of(&tag(RowKind::Operator, &name));
        let body = serde_json::to_value(PutOperator { object, organization, desired, credentials: None }).map_err(said)?;
        let path = format!("{}/{}", collection(RowKind::Operator), key(&name).0);
        let reply = self.person.put(&self.turn, &path, &body).await.map_err(said)?;
        if reply.status.is_success() { Ok(()) } else { Err(format!("{reply:?}")) }
    }

    /// What happened after a place in the feed, as soon as something has; without a place: its end.
    pub async fn changes(&self, after: Option<&ChangeCursor>) -> Result<Changes> {
        let query = after.map(|after| format!("?wait=30&after={}", after.0)).unwrap_or_default();
        serde_json::from_str(&self.person.get(&format!("/v1/changes{query}")).await.body).map_err(said)
    }

    /// Stores transcripts, one a line.
    pub async fn upload(&self, organization: u32, lines: String) -> Result<()> {
        let path = format!("/v1/organizations/{}/transcripts", key(&crate::place::organization(organization)).0);
        let reply = self.person.post_lines(&path, lines).await.map_err(said)?;
        if reply.status.is_success() { Ok(()) } else { Err(format!("{reply:?}")) }
    }

    /// Ends it.
    pub async fn stop(mut self) {
        self.server.terminate();
        self.server.ended().await;
    }
}
