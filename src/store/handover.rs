//! The last seat holder of an organization, and its successor (rule 7).

use crate::backend::BackendError;
use crate::domain::rows::RowKind;
use crate::domain::seats::{self, Leaving};

use super::audit::Action;
use super::db::{Conn, query};
use super::deletion;
use super::error::{Step, refused};
use super::operators::{self, Operator, select_operators};
use super::queue::{Ticket, select_tickets};
use super::tx::Tx;

pub(super) const LEAVING: &str =
    select_operators!("WHERE p.organization = $1 AND p.leaving IS NOT NULL AND NOT p.suspended ORDER BY p.id LIMIT 1");

/// The operator who wants to leave an organization and is its last seat holder, or was.
pub(super) async fn leaving(tx: &mut Tx, organization: i64) -> Result<Option<Operator>, sqlx::Error> {
    query(LEAVING).bind(organization).fetch_optional(tx.conn()).await
}

pub(super) const OTHERS_HOLD: &str =
    "SELECT EXISTS (SELECT 1 FROM operators WHERE organization = $1 AND NOT suspended AND NOT quarantined AND id <> $2)";

async fn others_hold(conn: &mut Conn, operator: &Operator) -> Result<bool, sqlx::Error> {
    query(OTHERS_HOLD).bind(operator.organization).bind(operator.head.id).scalar(conn).await
}

/// Lets an operator give up its seat, or refuses and remembers the wish: a successor may take over.
pub(super) async fn may_leave(tx: &mut Tx, operator: &Operator, how: Leaving) -> Step<()> {
    // A quarantined row keeps its seat, but nobody counts on it.
    let holds = !operator.suspended && !operator.head.quarantined;
    let others = !holds || others_hold(tx.conn(), operator).await?;
    if seats::may_leave(holds, others, operator.organization_erasing) {
        return Ok(());
    }
    // Who is to be deleted stays so, whatever else is asked of its last state.
    if operator.leaving() != Some(how) && operator.leaving() != Some(Leaving::Delete) {
        operators::mark_leaving(tx, operator, how).await?;
        call_successor(tx, operator.organization).await?;
    }
    refused(BackendError::LastOperator)
}

pub(super) const SUCCESSOR: &str = select_tickets!("WHERE organization = $1 AND kind = 'Operator' AND NOT paused ORDER BY number LIMIT 1");

/// Whoever waits first for a seat in the organization is handed this one when it asks again.
async fn call_successor(tx: &mut Tx, organization: i64) -> Result<(), sqlx::Error> {
    let successor: Option<Ticket> = query(SUCCESSOR).bind(organization).fetch_optional(tx.conn()).await?;
    if let Some(successor) = successor {
        tx.wake(&successor.owner, successor.tag(), None);
    }
    Ok(())
}

/// Tells whoever wants to leave that it may: another holds a seat now.
pub(super) fn tell(tx: &mut Tx, leaving: Option<&Operator>) {
    if let Some(head) = leaving.map(|operator| &operator.head)
        && let (Some(owner), Some(tag)) = (&head.owner, head.tag(RowKind::Operator))
    {
        tx.wake(owner, tag, None);
    }
}

/// Takes the seat of whoever wants to leave: it is erased, or suspended, in the transaction that admits its successor.
pub(super) async fn take_over(tx: &mut Tx, leaving: Option<Operator>) -> Step<()> {
    let Some(operator) = leaving else { return Ok(()) };
    tell(tx, Some(&operator));
    if operator.leaving() == Some(Leaving::Delete) {
        return Ok(deletion::erase_row(tx, RowKind::Operator, &operator.placed(), Action::HandOver).await?);
    }
    let suspended = operator.handed_over();
    operators::update(tx, &suspended, Action::HandOver).await
}

/// Refuses to take the last seat holder out of an organization that stays, without remembering it as a wish.
pub(super) async fn must_hold(tx: &mut Tx, operator: &Operator) -> Step<()> {
    let holds = !operator.suspended && !operator.head.quarantined;
    let others = !holds || others_hold(tx.conn(), operator).await?;
    let goes = operator.organization_erasing || operator.orphaned();
    if seats::may_leave(holds, others, goes) { Ok(()) } else { refused(BackendError::LastOperator) }
}
