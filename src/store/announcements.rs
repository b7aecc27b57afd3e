//! Wakes on their way to other processes, on `PostgreSQL`, and the word that something changed: notifications, which the server sends with the commit, in the order of the
//! commits, to all who listen, the one that caused them included. What is sent while a process's connection does not listen is lost; so
//! who listens anew looks at all tickets that have something to hear.

use std::pin::pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::postgres::PgNotification;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::backend::Wake;
use crate::domain::rows::{Key, OwnerTag, RowKind, TicketView};

use super::db::postgres::{Postgres, answered};
use super::db::{Database, Scope, query};
use super::error::in_words;
use super::queue::{parse_place, place_name};
use super::wakes::{Ear, Ears, Told, missed};

/// The server takes notifications of less than 8,000 bytes.
const LONGEST: usize = 7000;

/// How long until the next attempt to listen.
const AGAIN: Duration = Duration::from_secs(1);

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

fn channel(store: &str) -> String {
    format!("deskplane_{store}")
}

/// Tells all processes of a store, should the transaction commit.
pub(super) async fn announce(store: &str, conn: &mut PgConnection, wakes: &[Told]) -> sqlx::Result<()> {
    let mut lines = String::new();
    for told in wakes {
        let line = serde_json::to_string(&Message::new(told)).map_err(|error| sqlx::Error::Encode(error.into()))?;
        if lines.len() + line.len() > LONGEST {
            notify(store, conn, &std::mem::take(&mut lines)).await?;
        }
        lines.push_str(&line);
        lines.push('\n');
    }
    notify(store, conn, &lines).await
}

async fn notify(store: &str, conn: &mut PgConnection, lines: &str) -> sqlx::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    answered(sqlx::query("SELECT pg_notify($1, $2)").bind(channel(store)).bind(lines).execute(conn)).await.map(drop)
}

/// Tells the other processes that something was committed here, as the count that is returned grows: once for all that was committed while
/// the last word was on its way. Not in the transactions themselves: their commits would wait in line for each other (the server lets one
/// transaction that notifies commit at a time).
pub(super) fn ring_elsewhere(store: &str, postgres: Postgres) -> watch::Sender<u64> {
    let (sender, mut own) = watch::channel(0);
    let (store, database) = (store.to_owned(), Database::Postgres(postgres));
    tokio::spawn(async move {
        while own.changed().await.is_ok() {
            if let Err(error) = ring(&store, &database).await {
                // Whoever waits there looks by itself after a while.
                tracing::debug!(error = in_words(&error), "other processes could not be told of a change");
            }
        }
    });
    sender
}

async fn ring(store: &str, database: &Database) -> sqlx::Result<()> {
    let mut conn = database.begin(Scope::Store).await?;
    query("SELECT pg_notify($1, '')").bind(channel(store)).execute(&mut conn).await?;
    conn.commit().await
}

/// Hears what is announced, for all who listen in this process.
pub(super) struct Listener {
    channel: String,
    postgres: Postgres,
    ears: Ears,
    arrivals: UnboundedReceiver<Ear>,
    changes: watch::Sender<u64>,
}

/// Why it no longer listens.
enum Ended {
    /// The connection was lost.
    Lost,
    /// The store was closed.
    Closed,
}

impl Listener {
    /// Begins to listen, until the store is closed. Who arrives is told what it may have missed.
    pub(super) fn start(store: &str, postgres: Postgres, ears: Ears, changes: watch::Sender<u64>) -> UnboundedSender<Ear> {
        let (sender, arrivals) = unbounded_channel();
        tokio::spawn(Self { channel: channel(store), postgres, ears, arrivals, changes }.listen());
        sender
    }

    async fn listen(mut self) {
        let mut failing = false;
        loop {
            match Box::pin(self.hear()).await {
                Ok(Ended::Closed) | Err(sqlx::Error::PoolClosed) => return,
                Ok(Ended::Lost) => failing = false,
                Err(error) if failing => tracing::debug!(error = in_words(&error), "the store's wakes cannot be heard"),
                Err(error) => {
                    failing = true;
                    tracing::warn!(error = in_words(&error), "the store's wakes cannot be heard; trying again");
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Listens until the connection is lost.
    async fn hear(&mut self) -> sqlx::Result<Ended> {
        let mut listening = self.postgres.listen(&self.channel).await?;
        for owner in self.ears.owners() {
            for wake in self.missed(&owner).await? {
                self.ears.tell(&Told { owner: owner.clone(), wake });
            }
        }
        self.changes.send_modify(|count| *count += 1);
        loop {
            let mut next = pin!(listening.next());
            let notification = loop {
                tokio::select! {
                    // Who arrived before something was announced hears it.
                    biased;
                    ear = self.arrivals.recv() => match ear {
                        Some(ear) => self.welcome(ear).await?,
                        None => return Ok(Ended::Closed),
                    },
                    notification = &mut next => break notification?,
                }
            };
            match notification {
                Some(notification) => self.tell(&notification),
                None => return Ok(Ended::Lost),
            }
        }
    }

    /// What is announced meanwhile is heard afterwards.
    async fn welcome(&self, ear: Ear) -> sqlx::Result<()> {
        // Before the question: should that fail, it is asked again for all.
        self.ears.add(ear.clone());
        self.missed(&ear.owner).await?.into_iter().for_each(|wake| ear.hear(wake));
        Ok(())
    }

    async fn missed(&self, owner: &str) -> sqlx::Result<Vec<Wake>> {
        missed(&mut Database::Postgres(self.postgres.clone()).snapshot().await?, owner).await
    }

    fn tell(&self, notification: &PgNotification) {
        self.changes.send_modify(|count| *count += 1);
        let messages = notification.payload().lines().filter_map(|line| serde_json::from_str::<Message>(line).ok());
        messages.filter_map(Message::read).for_each(|told| self.ears.tell(&told));
    }
}
