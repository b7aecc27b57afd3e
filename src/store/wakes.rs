//! Wakes: which object should be looked at again, told after the commit to the process that looks after it.
//!
//! On `SQLite` this process is the only one, and a channel is enough. On `PostgreSQL` whoever frees a place may not be the process that looks
//! after whoever waits for it: a wake is a notification, which the server sends with the commit, in the order of the commits, to all who
//! listen, the one that caused it included; each keeps what is for its owner. What is sent while nobody's connection listens is lost; so
//! who listens anew looks at all tickets that have something to hear.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use tokio::sync::mpsc::UnboundedSender;

use crate::backend::Wake;
use crate::domain::rows::{Key, OwnerTag, RowKind, TicketView};

use super::db::postgres::answered;
use super::db::{Database, query};
use super::error::in_words;
use super::operators::{Operator, select_operators};
use super::queue::{Ticket, parse_place, place_name, select_tickets};

/// The server takes notifications of less than 8,000 bytes.
const LONGEST: usize = 7000;

/// How long until the next attempt to listen.
const AGAIN: Duration = Duration::from_secs(1);

/// A wake, and the owner it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) owner: String,
    pub(super) wake: Wake,
}

/// Where wakes are told: to the store's processes, or to who takes the wakes of `owner` here.
#[derive(Clone, Debug)]
pub(super) struct Voice {
    pub(super) store: String,
    pub(super) owner: String,
    pub(super) wakes: UnboundedSender<Wake>,
}

/// A wake on its way to another process.
#[derive(Debug, Deserialize, Serialize)]
struct Message {
    owner: String,
    kind: String,
    namespace: String,
    name: String,
    key: String,
    ticket: Option<TicketMessage>,
}

#[derive(Debug, Deserialize, Serialize)]
struct TicketMessage {
    missing: String,
    position: Option<i64>,
    reserved: bool,
    paused: bool,
}

impl Message {
    fn new(told: &Told) -> Self {
        let OwnerTag { kind, namespace, name, key } = told.wake.tag.clone();
        let ticket = told.wake.ticket.as_ref().map(|&TicketView { missing, position, reserved, paused }| TicketMessage {
            missing: place_name(missing).to_owned(),
            position,
            reserved,
            paused,
        });
        Self { owner: told.owner.clone(), kind: kind.as_str().to_owned(), namespace, name, key: key.0, ticket }
    }

    fn read(self) -> Option<Told> {
        let kind = RowKind::parse(&self.kind)?;
        let tag = OwnerTag { kind, namespace: self.namespace, name: self.name, key: Key(self.key) };
        let ticket = self.ticket.map(|TicketMessage { missing, position, reserved, paused }| TicketView {
            missing: parse_place(&missing),
            position,
            reserved,
            paused,
        });
        Some(Told { owner: self.owner, wake: Wake { tag, ticket } })
    }
}

impl Voice {
    fn channel(&self) -> String {
        format!("deskplane_{}", self.store)
    }

    /// Tells who listens in this process.
    pub(super) fn tell(&self, wakes: impl IntoIterator<Item = Told>) {
        for told in wakes.into_iter().filter(|told| told.owner == self.owner) {
            // Nobody listens in a program that only cleans up.
            let _ = self.wakes.send(told.wake);
        }
    }

    /// Tells all processes, should the transaction commit.
    pub(super) async fn announce(&self, conn: &mut PgConnection, wakes: &[Told]) -> sqlx::Result<()> {
        let mut lines = String::new();
        for told in wakes {
            let line = serde_json::to_string(&Message::new(told)).map_err(|error| sqlx::Error::Encode(error.into()))?;
            if lines.len() + line.len() > LONGEST {
                self.notify(conn, &std::mem::take(&mut lines)).await?;
            }
            lines.push_str(&line);
            lines.push('\n');
        }
        self.notify(conn, &lines).await
    }

    async fn notify(&self, conn: &mut PgConnection, lines: &str) -> sqlx::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        answered(sqlx::query("SELECT pg_notify($1, $2)").bind(self.channel()).bind(lines).execute(conn)).await.map(drop)
    }

    /// Hears what is announced, as long as somebody takes the wakes and the store is open.
    pub(super) async fn listen(self, database: Database) {
        let mut failing = false;
        loop {
            tokio::select! {
                () = self.wakes.closed() => return,
                heard = self.hear(&database) => match heard {
                    Ok(()) => failing = false,
                    Err(sqlx::Error::PoolClosed) => return,
                    Err(error) if failing => tracing::debug!(error = in_words(&error), "the store's wakes cannot be heard"),
                    Err(error) => {
                        failing = true;
                        tracing::warn!(error = in_words(&error), "the store's wakes cannot be heard; trying again");
                    }
                },
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Listens until the connection is lost.
    async fn hear(&self, database: &Database) -> sqlx::Result<()> {
        let Database::Postgres(postgres) = database else { return Ok(()) };
        let mut listening = postgres.listen(&self.channel()).await?;
        self.tell(missed(database, &self.owner).await?);
        while let Some(notification) = listening.next().await? {
            let messages = notification.payload().lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
            self.tell(messages.filter_map(Message::read));
        }
        Ok(())
    }
}

/// All that may have been told to nobody.
async fn missed(database: &Database, owner: &str) -> sqlx::Result<Vec<Told>> {
    let mut snapshot = database.snapshot().await?;
    let sql = select_tickets!("WHERE owner = $1 AND NOT paused AND (reserved OR position IS NOT NULL) ORDER BY number");
    let tickets: Vec<Ticket> = query(sql).bind(owner).fetch_all(&mut snapshot).await?;
    let leaving: Vec<Operator> =
        query(select_operators!("WHERE p.owner = $1 AND p.leaving IS NOT NULL ORDER BY p.id")).bind(owner).fetch_all(&mut snapshot).await?;
    let tickets = tickets.iter().map(|ticket| Wake { tag: ticket.tag(), ticket: Some(ticket.view()) });
    let leaving = leaving.iter().filter_map(|operator| Some(Wake { tag: operator.head.tag(RowKind::Operator)?, ticket: None }));
    Ok(tickets.chain(leaving).map(|wake| Told { owner: owner.to_owned(), wake }).collect())
}
