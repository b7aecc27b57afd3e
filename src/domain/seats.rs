//! Seats, organization places and widget places: who is admitted, who waits, who is next (rules 1 to 4).
//!
//! The store keeps the numbers and the tickets; it asks here inside the transaction that writes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something a plan limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum Place {
    /// A seat: one for each operator that is not suspended.
    Seat,
    /// An organization.
    Organization,
    /// A widget.
    Widget,
}

impl Place {
    /// All places, in the order in which a missing one is named.
    pub const ALL: [Self; 3] = [Self::Seat, Self::Organization, Self::Widget];
}

/// What a plan allows. `None`: unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Seats over all organizations.
    pub seats: i64,
    /// Organizations, the default one included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizations: Option<i64>,
    /// Widgets over all organizations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widgets: Option<i64>,
}

impl Limits {
    /// The limit of one place.
    pub fn of(&self, place: Place) -> Option<i64> {
        match place {
            Place::Seat => Some(self.seats),
            Place::Organization => self.organizations,
            Place::Widget => self.widgets,
        }
    }
}

/// A number for each place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Seats.
    pub seats: i64,
    /// Organizations.
    pub organizations: i64,
    /// Widgets.
    pub widgets: i64,
}

impl Places {
    /// The number of one place.
    pub fn of(&self, place: Place) -> i64 {
        match place {
            Place::Seat => self.seats,
            Place::Organization => self.organizations,
            Place::Widget => self.widgets,
        }
    }

    /// What a new operator, or one who is no longer suspended, needs.
    pub const OPERATOR: Self = Self { seats: 1, organizations: 0, widgets: 0 };
    /// What a new organization needs: its place, and a seat for its first operator (rule 4).
    pub const ORGANIZATION: Self = Self { seats: 1, organizations: 1, widgets: 0 };
    /// What a new widget needs.
    pub const WIDGET: Self = Self { seats: 0, organizations: 0, widgets: 1 };
}

impl std::ops::Add for Places {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            seats: self.seats + other.seats,
            organizations: self.organizations + other.organizations,
            widgets: self.widgets + other.widgets,
        }
    }
}

/// The state of an account's places within one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// What the plan allows.
    pub limits: Limits,
    /// What rows hold, unmanaged and quarantined ones included.
    pub held: Places,
    /// What is reserved for tickets, other than the one of the object that asks.
    pub reserved: Places,
}

impl Ledger {
    /// The first place that `needs` asks for and that is not free; `None`: all are.
    pub fn first_missing(&self, needs: Places) -> Option<Place> {
        let taken = self.held + self.reserved;
        Place::ALL.into_iter().find(|&place| {
            let wanted = needs.of(place);
            wanted > 0 && self.limits.of(place).is_some_and(|limit| taken.of(place).saturating_add(wanted) > limit)
        })
    }
}

/// A waiting ticket: its number in the queue, and what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Lower numbers go first.
    pub number: i64,
    /// What its object needs.
    pub needs: Places,
}

/// The ticket that a freed place goes to: the lowest whose needs are all free. Tickets that are paused or reserved already are not
/// among `waiting`; a ticket that must wait for something else delays nobody behind it.
pub fn next_grant(ledger: &Ledger, waiting: impl IntoIterator<Item = Ticket>) -> Option<Ticket> {
    waiting.into_iter().filter(|ticket| ledger.first_missing(ticket.needs).is_none()).min_by_key(|ticket| ticket.number)
}

/// The first place of which more is held than the plan allows (rule 3): nobody is dropped, nothing new is admitted.
pub fn over_plan(limits: &Limits, held: &Places) -> Option<Place> {
    Place::ALL.into_iter().find(|&place| limits.of(place).is_some_and(|limit| held.of(place) > limit))
}

impl Ledger {
    /// More of a place is reserved than the plan leaves free: a reservation cannot be kept, because others wrote rows meanwhile.
    pub fn overcommitted(&self) -> bool {
        let taken = self.held + self.reserved;
        Place::ALL
            .into_iter()
            .any(|place| self.reserved.of(place) > 0 && self.limits.of(place).is_some_and(|limit| taken.of(place) > limit))
    }
}

/// How many of a line are told their place in it.
pub const TOLD_PLACES: i64 = 10;

/// The place in line behind `ahead` others; `None` beyond [`TOLD_PLACES`].
pub fn place_in_line(ahead: i64) -> Option<i64> {
    (ahead < TOLD_PLACES).then_some(ahead + 1)
}

/// How the last seat holder of an organization wants to leave (rule 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Its object is being deleted.
    Delete,
    /// Its object asks to be suspended.
    Suspend,
}

/// Whose e-mail a new operator brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailUse {
    /// Nobody's in the organization.
    Free,
    /// That of the operator who leaves.
    OfLeaving,
    /// Another operator's.
    Taken,
}

/// What becomes of an operator who asks for a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It gets a free seat.
    Admitted,
    /// It takes the seat of the operator who leaves, in the same transaction.
    TakesOver,
    /// It waits for this place.
    Waits(Place),
    /// It cannot have that e-mail.
    EmailTaken,
}

/// Whether an operator gets a seat, takes over the leaving one's, or waits (rules 2, 7 and 8). A seat handed over is not a free seat:
/// it is not asked whether one is. Only whoever is deleted gives its e-mail too.
pub fn enter(missing: Option<Place>, leaving: Option<Leaving>, email: EmailUse) -> Entry {
    match (email, leaving, missing) {
        (EmailUse::OfLeaving, Some(Leaving::Delete), _) | (EmailUse::Free, Some(_), Some(_)) => Entry::TakesOver,
        (EmailUse::Taken | EmailUse::OfLeaving, _, _) => Entry::EmailTaken,
        (EmailUse::Free, _, None) => Entry::Admitted,
        (EmailUse::Free, None, Some(place)) => Entry::Waits(place),
    }
}

/// Whether an operator may give up its seat: not the last who holds one in an organization that stays (rule 7).
pub fn may_leave(holds_seat: bool, others_hold: bool, organization_goes: bool) -> bool {
    !holds_seat || others_hold || organization_goes
}

#[cfg(test)]
#[path = "seats_tests.rs"]
mod tests;
