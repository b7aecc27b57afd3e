//! Who becomes an operator, who stays one, and who waits (rules 1, 2, 7 and 8).

use sqlx::FromRow;

use crate::backend::{BackendError, OperatorPut};
use crate::domain::rows::{Key, Row, RowKind};
use crate::domain::seats::{self, EmailUse, Entry, Leaving, Places};
use crate::domain::text::fold_email;

use super::audit::Action;
use super::db::query;
use super::error::{Step, Stop, refused};
use super::handover;
use super::operators::{self, Operator, parse_leaving};
use super::organizations::{self, Parent};
use super::queue::{self, Request};
use super::tx::Tx;
use super::{credentials, quarantine, values};

/// Makes or changes an operator.
pub(super) async fn put(tx: &mut Tx, organization: &Key, put: &OperatorPut<'_>) -> Step<Row> {
    values::tag(put.tag)?;
    values::operator(put.desired, put.intent)?;
    tx.not_gone()?;
    let parent = organizations::parent(tx, organization).await?;
    let stored = resident(tx, &parent, put).await?;
    let email = email_use(tx, &parent, put, stored.as_ref()).await?;
    let needs_seat = !put.desired.suspended && stored.as_ref().is_none_or(|stored| stored.suspended);
    if needs_seat {
        take_seat(tx, &parent, put, email).await?;
    } else if email != EmailUse::Free {
        return refused(BackendError::EmailTaken);
    } else if put.desired.suspended {
        leave_seat(tx, put, stored.as_ref()).await?;
    } else {
        // Somebody else may have given it the seat it waited for.
        queue::drop_of(tx, &put.tag.key).await?;
    }
    if parent.has_leaving && stored.as_ref().is_some_and(|stored| stored.head.quarantined && !stored.suspended) {
        let leaving = handover::leaving(tx, parent.id).await?;
        handover::tell(tx, leaving.as_ref());
    }
    write(tx, &parent, put, stored).await
}

/// The row of the key in this organization. One that is left in an organization without an object stays there and is matched no more.
async fn resident(tx: &mut Tx, parent: &Parent, put: &OperatorPut<'_>) -> Step<Option<Operator>> {
    match operators::find(tx.conn(), &put.tag.key).await? {
        Some(row) if row.organization == parent.id => Ok(Some(row)),
        Some(row) if row.orphaned() => {
            quarantine::detach(tx, RowKind::Operator, &row.placed()).await?;
            Ok(None)
        }
        Some(_) => quarantine::moved(),
        None => Ok(None),
    }
}

pub(super) const BY_EMAIL: &str =
    "SELECT id, leaving FROM operators WHERE organization = $1 AND email_folded = $2 AND NOT quarantined AND id <> $3";

#[derive(FromRow)]
struct Rival {
    leaving: Option<String>,
}

async fn email_use(tx: &mut Tx, parent: &Parent, put: &OperatorPut<'_>, stored: Option<&Operator>) -> Step<EmailUse> {
    let folded = fold_email(&put.desired.email);
    if stored.is_some_and(|stored| stored.email_folded == folded && !stored.head.quarantined) {
        return Ok(EmailUse::Free);
    }
    let own = stored.map_or(0, |stored| stored.head.id);
    let rival: Option<Rival> = query(BY_EMAIL).bind(parent.id).bind(folded).bind(own).fetch_optional(tx.conn()).await?;
    Ok(match rival.map(|rival| parse_leaving(rival.leaving.as_deref())) {
        None => EmailUse::Free,
        Some(Some(_)) => EmailUse::OfLeaving,
        Some(None) => EmailUse::Taken,
    })
}

async fn take_seat(tx: &mut Tx, parent: &Parent, put: &OperatorPut<'_>, email: EmailUse) -> Step<()> {
    let request = Request { tag: put.tag, account: parent.account, organization: Some(parent.id), needs: Places::OPERATOR };
    let hearing = queue::hear(tx, &request).await?;
    let leaving = if parent.has_leaving { handover::leaving(tx, parent.id).await? } else { None };
    match seats::enter(hearing.missing, leaving.as_ref().and_then(Operator::leaving), email) {
        Entry::EmailTaken => return refused(BackendError::EmailTaken),
        Entry::Waits(place) => return Err(queue::wait(tx, &request, hearing, place).await),
        Entry::Admitted => handover::tell(tx, leaving.as_ref()),
        Entry::TakesOver => handover::take_over(tx, leaving).await?,
    }
    Ok(queue::used(tx, &hearing, &put.tag.key).await?)
}

/// Whoever is to be suspended waits no longer, and gives up the seat it holds unless it is the last.
async fn leave_seat(tx: &mut Tx, put: &OperatorPut<'_>, stored: Option<&Operator>) -> Step<()> {
    match stored.filter(|stored| !stored.suspended) {
        None => queue::drop_of(tx, &put.tag.key).await.map_err(Stop::from),
        Some(holder) => {
            handover::may_leave(tx, holder, Leaving::Suspend).await?;
            tx.frees(holder.account);
            Ok(())
        }
    }
}

async fn write(tx: &mut Tx, parent: &Parent, put: &OperatorPut<'_>, stored: Option<Operator>) -> Step<Row> {
    let mut operator = match stored {
        None => {
            let mut operator = Operator::new(tx, put, parent).await?;
            operators::insert(tx, &mut operator).await?;
            operator
        }
        Some(stored) => {
            let mut operator = stored.clone();
            operator.set(&tx.session, put.tag, put.desired);
            if operator != stored {
                operators::update(tx, &operator, Action::Update).await?;
            }
            operator
        }
    };
    credentials::intend(tx, &mut operator, put.intent).await?;
    Ok(operator.row())
}
