//! The queue of an account (rule 2): who draws a ticket, who is admitted, who waits no longer. Grants are made in [`super::settle`].

use sqlx::FromRow;

use crate::backend::BackendError;
use crate::domain::rows::{Key, OwnerTag, RowKind, TicketView};
use crate::domain::seats::{self, Ledger, Limits, Place, Places};

use super::db::{Conn, query};
use super::error::{Step, Stop};
use super::settle;
use super::tx::Tx;

/// Opens every statement that reads tickets.
macro_rules! select_tickets {
    ($tail:literal) => {
        concat!(
            "SELECT number, key, kind, owner, owner_namespace, owner_name, needs_seats, needs_organizations, needs_widgets, ",
            "missing, paused, reserved, position FROM tickets ",
            $tail
        )
    };
}
pub(super) use select_tickets;

/// A ticket's row.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(super) struct Ticket {
    pub(super) number: i64,
    key: String,
    kind: String,
    pub(super) owner: String,
    owner_namespace: String,
    owner_name: String,
    needs_seats: i64,
    needs_organizations: i64,
    needs_widgets: i64,
    missing: String,
    paused: bool,
    pub(super) reserved: bool,
    pub(super) position: Option<i64>,
}

impl Ticket {
    pub(super) fn needs(&self) -> Places {
        Places { seats: self.needs_seats, organizations: self.needs_organizations, widgets: self.needs_widgets }
    }

    pub(super) fn view(&self) -> TicketView {
        TicketView { missing: parse_place(&self.missing), position: self.position, reserved: self.reserved, paused: self.paused }
    }

    pub(super) fn tag(&self) -> OwnerTag {
        OwnerTag {
            kind: RowKind::parse(&self.kind).unwrap_or(RowKind::Operator),
            namespace: self.owner_namespace.clone(),
            name: self.owner_name.clone(),
            key: Key(self.key.clone()),
        }
    }
}

/// A place's name in the table.
pub(super) fn place_name(place: Place) -> &'static str {
    match place {
        Place::Seat => "Seat",
        Place::Organization => "Organization",
        Place::Widget => "Widget",
    }
}

pub(super) fn parse_place(name: &str) -> Place {
    Place::ALL.into_iter().find(|&place| place_name(place) == name).unwrap_or(Place::Seat)
}

pub(super) const BY_KEY: &str = select_tickets!("WHERE key = $1");

/// The ticket of a key.
pub(super) async fn find(conn: &mut Conn, key: &Key) -> Result<Option<Ticket>, sqlx::Error> {
    query(BY_KEY).bind(&key.0).fetch_optional(conn).await
}

pub(super) const FACTS: &str = "SELECT seats_limit, organizations_limit, widgets_limit, seats_held, organizations_held, widgets_held,
    seats_reserved, organizations_reserved, widgets_reserved,
    EXISTS (SELECT 1 FROM tickets t WHERE t.account = $1 AND t.kind = 'Organization' AND NOT t.reserved AND NOT t.paused)
        AS organizations_wait,
    EXISTS (SELECT 1 FROM tickets t WHERE t.account = $1 AND t.kind = 'Operator' AND NOT t.reserved AND NOT t.paused) AS operators_wait,
    EXISTS (SELECT 1 FROM tickets t WHERE t.account = $1 AND t.kind = 'Widget' AND NOT t.reserved AND NOT t.paused) AS widgets_wait
    FROM accounts WHERE id = $1";

/// The numbers of an account, and which kinds have somebody in line.
#[derive(FromRow)]
pub(super) struct Facts {
    seats_limit: i64,
    organizations_limit: Option<i64>,
    widgets_limit: Option<i64>,
    seats_held: i64,
    organizations_held: i64,
    widgets_held: i64,
    seats_reserved: i64,
    organizations_reserved: i64,
    widgets_reserved: i64,
    organizations_wait: bool,
    operators_wait: bool,
    widgets_wait: bool,
}

impl Facts {
    pub(super) async fn load(conn: &mut Conn, account: i64) -> Result<Self, sqlx::Error> {
        query(FACTS).bind(account).fetch_one(conn).await
    }

    /// The ledger with all reservations.
    pub(super) fn ledger(&self) -> Ledger {
        Ledger {
            limits: Limits { seats: self.seats_limit, organizations: self.organizations_limit, widgets: self.widgets_limit },
            held: Places { seats: self.seats_held, organizations: self.organizations_held, widgets: self.widgets_held },
            reserved: Places { seats: self.seats_reserved, organizations: self.organizations_reserved, widgets: self.widgets_reserved },
        }
    }

    /// The queue is not as a commit of ours leaves it, for others changed rows: somebody waits although all it needs is free, or more
    /// is reserved than there is.
    pub(super) fn unsettled(&self) -> bool {
        let ledger = self.ledger();
        let lines =
            [(self.organizations_wait, Places::ORGANIZATION), (self.operators_wait, Places::OPERATOR), (self.widgets_wait, Places::WIDGET)];
        ledger.overcommitted() || lines.into_iter().any(|(waits, needs)| waits && ledger.first_missing(needs).is_none())
    }

    /// The ledger as the holder of `own` sees it: its own reservation is not in its way.
    fn ledger_for(&self, own: Option<&Ticket>) -> Ledger {
        let mut ledger = self.ledger();
        if let Some(own) = own.filter(|own| own.reserved) {
            let needs = own.needs();
            ledger.reserved.seats -= needs.seats;
            ledger.reserved.organizations -= needs.organizations;
            ledger.reserved.widgets -= needs.widgets;
        }
        ledger
    }
}

/// Who asks, and for what.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) tag: &'a OwnerTag,
    pub(super) account: i64,
    pub(super) organization: Option<i64>,
    pub(super) needs: Places,
}

/// What an account says to a request.
#[derive(Debug)]
pub(super) struct Hearing {
    /// The first place that is missing; `None`: all are free for the one who asks.
    pub(super) missing: Option<Place>,
    ledger: Ledger,
    own: Option<Ticket>,
}

/// Asks whether a request can be met. Where others changed rows meanwhile, the queue is put right first, so that what they freed goes
/// to whoever waits, and what they took is missing to the last.
pub(super) async fn hear(tx: &mut Tx, request: &Request<'_>) -> Result<Hearing, sqlx::Error> {
    let (mut facts, mut own) = numbers(tx, request).await?;
    if facts.unsettled() {
        settle::put_right(tx, request.account, &facts).await?;
        (facts, own) = numbers(tx, request).await?;
    }
    let ledger = facts.ledger_for(own.as_ref());
    Ok(Hearing { missing: ledger.first_missing(request.needs), ledger, own })
}

async fn numbers(tx: &mut Tx, request: &Request<'_>) -> Result<(Facts, Option<Ticket>), sqlx::Error> {
    let facts = Facts::load(tx.conn(), request.account).await?;
    Ok((facts, find(tx.conn(), &request.tag.key).await?))
}

/// Refuses a request for want of a place, with a ticket: the one it has, or a new one at the end.
pub(super) async fn wait(tx: &mut Tx, request: &Request<'_>, hearing: Hearing, missing: Place) -> Stop {
    let position = match hearing.own {
        Some(own) if own.missing == place_name(missing) => Ok(own.position),
        Some(own) => move_line(tx, &own, request.account, missing).await,
        None => draw(tx, request, missing).await,
    };
    match position {
        Ok(position) => Stop::Refused(BackendError::LimitExceeded {
            missing,
            limit: hearing.ledger.limits.of(missing).unwrap_or(i64::MAX),
            held: hearing.ledger.held.of(missing),
            position,
        }),
        Err(error) => error.into(),
    }
}

pub(super) const AHEAD: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM tickets
    WHERE account = $1 AND missing = $2 AND NOT reserved AND NOT paused LIMIT 10) AS ahead";

async fn draw(tx: &mut Tx, request: &Request<'_>, missing: Place) -> Result<Option<i64>, sqlx::Error> {
    let ahead = query(AHEAD).bind(request.account).bind(place_name(missing)).scalar(tx.conn()).await?;
    let position = seats::place_in_line(ahead);
    let sql = "INSERT INTO tickets (key, kind, owner, owner_namespace, owner_name, account, organization, needs_seats,
        needs_organizations, needs_widgets, missing, position) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let (tag, needs) = (request.tag, request.needs);
    let statement = query(sql).bind(tag.key.0.clone()).bind(tag.kind.as_str()).bind(tx.session.owner.clone());
    let statement = statement.bind(tag.namespace.clone()).bind(tag.name.clone()).bind(request.account).bind(request.organization);
    let statement = statement.bind(needs.seats).bind(needs.organizations).bind(needs.widgets).bind(place_name(missing)).bind(position);
    statement.execute(tx.conn()).await?;
    tx.changed = true;
    Ok(position)
}

/// Another place is missing now than when the ticket was last looked at.
async fn move_line(tx: &mut Tx, own: &Ticket, account: i64, missing: Place) -> Result<Option<i64>, sqlx::Error> {
    let sql = "UPDATE tickets SET missing = $2, position = NULL WHERE number = $1";
    query(sql).bind(own.number).bind(place_name(missing)).execute(tx.conn()).await?;
    tx.frees(account);
    settle::settle(tx, account).await?;
    let sql = "SELECT position FROM tickets WHERE number = $1";
    Ok(query(sql).bind(own.number).scalar_optional(tx.conn()).await?.flatten())
}

pub(super) const DROP: &str = "DELETE FROM tickets WHERE key = $1 RETURNING account";

/// The ticket was used, or is no longer wanted: others move up, and what was reserved for it and is not used goes on.
pub(super) async fn drop_of(tx: &mut Tx, key: &Key) -> Result<(), sqlx::Error> {
    if let Some(account) = query(DROP).bind(&key.0).scalar_optional(tx.conn()).await? {
        tx.frees(account);
    }
    Ok(())
}

/// Uses up the ticket of whoever was admitted.
pub(super) async fn used(tx: &mut Tx, hearing: &Hearing, key: &Key) -> Result<(), sqlx::Error> {
    if hearing.own.is_some() { drop_of(tx, key).await } else { Ok(()) }
}

/// Marks a ticket as paused, or not. A paused ticket keeps its number, is skipped, and gives up what was reserved for it.
pub(super) async fn pause(tx: &mut Tx, key: &Key, paused: bool) -> Step<()> {
    let sql = "UPDATE tickets SET paused = $2, reserved = FALSE, position = NULL WHERE key = $1 AND paused <> $2 RETURNING account";
    let account = query(sql).bind(&key.0).bind(paused).scalar_optional(tx.conn()).await?;
    if let Some(account) = account {
        tx.frees(account);
    }
    Ok(())
}

/// Drops all tickets of an organization, or of an account without one.
pub(super) async fn drop_all(tx: &mut Tx, account: i64, organization: Option<i64>) -> Result<(), sqlx::Error> {
    let dropped = match organization {
        Some(organization) => query("DELETE FROM tickets WHERE organization = $1").bind(organization).execute(tx.conn()).await?,
        None => query("DELETE FROM tickets WHERE account = $1").bind(account).execute(tx.conn()).await?,
    };
    if dropped > 0 {
        tx.frees(account);
    }
    Ok(())
}
