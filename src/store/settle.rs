//! Grants (rule 2): what is free goes to the lowest tickets that can use it, and whoever is among the first in a line is told its place.
//!
//! It runs before the commit of every transaction that may have freed a place. So what is free after a commit is free for anybody,
//! and newcomers overtake nobody.

use std::collections::VecDeque;

use crate::domain::rows::{RowKind, TicketView};
use crate::domain::seats::{self, Ledger, Place};

use super::db::{Conn, query};
use super::queue::{Facts, Ticket, place_name, select_tickets};
use super::tx::Tx;

/// How many tickets of a kind are loaded at once.
const CHUNK: i64 = 64;

/// The kinds that draw tickets; all of a kind need the same, so only the first of each can be next.
const KINDS: [RowKind; 3] = [RowKind::Organization, RowKind::Operator, RowKind::Widget];

/// Reserves what is free, and tells those whose place in line changed.
pub(super) async fn settle(tx: &mut Tx, account: i64) -> Result<(), sqlx::Error> {
    let facts = Facts::load(tx.conn(), account).await?;
    let mut ledger = facts.ledger();
    if facts.unsettled() {
        grant(tx, account, &mut ledger).await?;
    }
    rename_missing(tx, account, &ledger).await?;
    for place in Place::ALL {
        tell(tx, account, place).await?;
    }
    Ok(())
}

pub(super) const REVOKE: &str = "UPDATE tickets SET reserved = FALSE WHERE account = $1 AND reserved";

/// Takes all reservations back, for what they reserved may no longer be there. Settling reserves anew, in order.
pub(super) async fn revoke(tx: &mut Tx, account: i64) -> Result<(), sqlx::Error> {
    query(REVOKE).bind(account).execute(tx.conn()).await?;
    tx.frees(account);
    Ok(())
}

/// Brings the queue in line with what others did to the rows.
pub(super) async fn put_right(tx: &mut Tx, account: i64, facts: &Facts) -> Result<(), sqlx::Error> {
    if facts.ledger().overcommitted() {
        revoke(tx, account).await?;
    }
    settle(tx, account).await
}

async fn grant(tx: &mut Tx, account: i64, ledger: &mut Ledger) -> Result<(), sqlx::Error> {
    let mut lines = Vec::with_capacity(KINDS.len());
    for kind in KINDS {
        lines.push(Line::load(tx.conn(), account, kind, 0).await?);
    }
    while let Some(next) = seats::next_grant(ledger, lines.iter().filter_map(Line::head)) {
        let Some(line) = lines.iter_mut().find(|line| line.head() == Some(next)) else { break };
        let Some(ticket) = line.tickets.pop_front() else { break };
        reserve(tx, &ticket).await?;
        ledger.reserved = ledger.reserved + next.needs;
        if line.tickets.is_empty() && line.more {
            *line = Line::load(tx.conn(), account, line.kind, ticket.number).await?;
        }
    }
    Ok(())
}

pub(super) const LINE: &str =
    select_tickets!("WHERE account = $1 AND kind = $2 AND number > $3 AND NOT reserved AND NOT paused ORDER BY number LIMIT $4");

/// The first tickets of a kind that wait.
struct Line {
    kind: RowKind,
    tickets: VecDeque<Ticket>,
    more: bool,
}

impl Line {
    async fn load(conn: &mut Conn, account: i64, kind: RowKind, after: i64) -> Result<Self, sqlx::Error> {
        let statement = query(LINE).bind(account).bind(kind.as_str()).bind(after).bind(CHUNK);
        let tickets: Vec<Ticket> = statement.fetch_all(conn).await?;
        let more = i64::try_from(tickets.len()).is_ok_and(|length| length == CHUNK);
        Ok(Self { kind, tickets: tickets.into(), more })
    }

    fn head(&self) -> Option<seats::Ticket> {
        self.tickets.front().map(|ticket| seats::Ticket { number: ticket.number, needs: ticket.needs() })
    }
}

async fn reserve(tx: &mut Tx, ticket: &Ticket) -> Result<(), sqlx::Error> {
    let sql = "UPDATE tickets SET reserved = TRUE, position = NULL WHERE number = $1";
    query(sql).bind(ticket.number).execute(tx.conn()).await?;
    tx.changed = true;
    let view = TicketView { position: None, reserved: true, ..ticket.view() };
    tx.wake(&ticket.owner, ticket.tag(), Some(view));
    Ok(())
}

/// The place told before is kept as 0: it was told, and is no longer right.
pub(super) const RENAME_MISSING: &str = "UPDATE tickets SET missing = $2, position = CASE WHEN position IS NULL THEN NULL ELSE 0 END
    WHERE account = $1 AND kind = 'Organization' AND NOT reserved AND NOT paused AND missing <> $2";

/// An organization needs two places: which of them is missing first changes while it waits. Operators and widgets need one.
async fn rename_missing(tx: &mut Tx, account: i64, ledger: &Ledger) -> Result<(), sqlx::Error> {
    let Some(missing) = ledger.first_missing(seats::Places::ORGANIZATION) else { return Ok(()) };
    let renamed = query(RENAME_MISSING).bind(account).bind(place_name(missing)).execute(tx.conn()).await?;
    tx.changed |= renamed > 0;
    Ok(())
}

pub(super) const FIRST_IN_LINE: &str =
    select_tickets!("WHERE account = $1 AND missing = $2 AND NOT reserved AND NOT paused ORDER BY number LIMIT $3");

pub(super) const NO_LONGER_TOLD: &str = "UPDATE tickets SET position = NULL
    WHERE account = $1 AND missing = $2 AND number > $3 AND position IS NOT NULL
    RETURNING number, key, kind, owner, owner_namespace, owner_name, needs_seats, needs_organizations, needs_widgets,
        missing, paused, reserved, position";

/// Tells the first of a line their places, where they changed.
async fn tell(tx: &mut Tx, account: i64, place: Place) -> Result<(), sqlx::Error> {
    let statement = query(FIRST_IN_LINE).bind(account).bind(place_name(place)).bind(seats::TOLD_PLACES);
    let first: Vec<Ticket> = statement.fetch_all(tx.conn()).await?;
    let last = first.last().map(|ticket| ticket.number);
    let full = seats::place_in_line(i64::try_from(first.len()).unwrap_or(i64::MAX)).is_none();
    for (mut ticket, ahead) in first.into_iter().zip(0..) {
        let position = seats::place_in_line(ahead);
        if ticket.position != position {
            let sql = "UPDATE tickets SET position = $2 WHERE number = $1";
            query(sql).bind(ticket.number).bind(position).execute(tx.conn()).await?;
            ticket.position = position;
            tx.changed = true;
            tx.wake(&ticket.owner, ticket.tag(), Some(ticket.view()));
        }
    }
    if let Some(last) = last.filter(|_| full) {
        let statement = query(NO_LONGER_TOLD).bind(account).bind(place_name(place)).bind(last);
        let beyond: Vec<Ticket> = statement.fetch_all(tx.conn()).await?;
        tx.changed |= !beyond.is_empty();
        for ticket in beyond {
            tx.wake(&ticket.owner, ticket.tag(), Some(ticket.view()));
        }
    }
    Ok(())
}
