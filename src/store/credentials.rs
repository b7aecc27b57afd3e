//! Credentials on their way into a Secret (rule 10): an intent before it is made, active afterwards.

use crate::backend::{BackendError, CredentialIntent, CredentialOutcome};
use crate::domain::rows::{CredentialState, Key, Row, RowKind};

use super::audit::{self, Action};
use super::db::query;
use super::error::{Step, refused};
use super::operators::{self, Operator};
use super::tx::Tx;

/// Records an intent, unless there is one, or there are active credentials.
pub(super) async fn intend(tx: &mut Tx, operator: &mut Operator, intent: Option<&CredentialIntent>) -> Step<()> {
    let Some(intent) = intent.filter(|_| operator.credentials() == CredentialState::Absent) else { return Ok(()) };
    let sql = "INSERT INTO credentials (operator, secret_name, hash, state) VALUES ($1, $2, $3, 'intended')";
    let statement = query(sql).bind(operator.head.id).bind(intent.secret_name.clone()).bind(intent.hash.clone());
    statement.execute(tx.conn()).await?;
    operator.set_credentials(Some("intended"));
    // With the row is part of the row's own change.
    if !tx.changed {
        audit::record(tx, Action::Update, RowKind::Operator, &operator.placed()).await?;
    }
    Ok(())
}

/// Records how the Secret came out.
pub(super) async fn settle(tx: &mut Tx, key: &Key, outcome: &CredentialOutcome) -> Step<Row> {
    tx.not_gone()?;
    let Some(mut operator) = operators::find(tx.conn(), key).await? else {
        return refused(BackendError::ParentNotFound(RowKind::Operator));
    };
    let id = operator.head.id;
    let written = match outcome {
        CredentialOutcome::Created { hash } => {
            if operator.credentials() == CredentialState::Absent {
                let message = "no intent is recorded for this Secret; record one and make the Secret again".to_owned();
                return refused(BackendError::Invalid { field: "spec.credentials".into(), message });
            }
            let sql = "UPDATE credentials SET state = 'active', hash = $2 WHERE operator = $1 AND (state <> 'active' OR hash <> $2)";
            query(sql).bind(id).bind(hash.clone()).execute(tx.conn()).await?
        }
        CredentialOutcome::FoundFromIntent => {
            let sql = "UPDATE credentials SET state = 'active' WHERE operator = $1 AND state = 'intended'";
            query(sql).bind(id).execute(tx.conn()).await?
        }
        CredentialOutcome::Dropped => query("DELETE FROM credentials WHERE operator = $1").bind(id).execute(tx.conn()).await?,
    };
    if written > 0 {
        audit::record(tx, Action::Update, RowKind::Operator, &operator.placed()).await?;
    }
    match outcome {
        CredentialOutcome::Dropped => operator.set_credentials(None),
        _ if operator.credentials() != CredentialState::Absent => operator.set_credentials(Some("active")),
        _ => {}
    }
    Ok(operator.row())
}
