//! Who may enter which organization of an account: the facts for [`crate::domain::switching`].

use sqlx::FromRow;

use crate::backend::{BackendError, Result};
use crate::domain::rows::RowKind;
use crate::domain::switching::{Enterable, Entrance, Standing, entrances};
use crate::domain::text::fold_email;

use super::Store;
use super::accounts::{self, Account, select_accounts};
use super::db::query;

pub(super) const ACCOUNT: &str = select_accounts!("WHERE external_id = $1");

/// Organizations that are there to stay, with a person's operator in each.
pub(super) const STANDINGS: &str = "SELECT g.external_id, g.display_name, p.suspended, p.switch_organizations FROM organizations g
    LEFT JOIN operators p ON p.organization = g.id AND p.email_folded = $2 AND NOT p.quarantined
    WHERE g.account = $1 AND NOT g.erasing AND NOT g.quarantined ORDER BY g.id";

#[derive(FromRow)]
struct Found {
    external_id: String,
    display_name: Option<String>,
    suspended: Option<bool>,
    switch_organizations: Option<bool>,
}

impl Store {
    /// The organizations that a person may enter, by e-mail; in the order in which they were made. `account` is an external
    /// id or a key.
    ///
    /// It trusts that the person has this e-mail: whoever asks has verified that.
    pub async fn switchable_organizations(&self, account: &str, email: &str) -> Result<Vec<Enterable>> {
        let mut snapshot = self.reader().snapshot().await?;
        let by_external_id: Option<Account> = query(ACCOUNT).bind(account).fetch_optional(&mut snapshot).await?;
        let found = match by_external_id {
            Some(found) => Some(found),
            None => accounts::find(&mut snapshot, &account.into()).await?,
        };
        let account = found.ok_or(BackendError::ParentNotFound(RowKind::Account))?;
        let email = fold_email(email);
        if account.erasing || email.is_empty() {
            return Ok(Vec::new());
        }
        let found: Vec<Found> = query(STANDINGS).bind(account.head.id).bind(&email).fetch_all(&mut snapshot).await?;
        let standing = |found: &Found| Some(Standing { suspended: found.suspended?, promoted: found.switch_organizations? });
        let standings: Vec<_> = found.iter().map(standing).collect();
        let entrances = entrances(account.is_owner(&email), &standings);
        let enterable = |(found, entrance): (Found, Option<Entrance>)| {
            Some(Enterable { external_id: found.external_id, display_name: found.display_name, entrance: entrance? })
        };
        Ok(found.into_iter().zip(entrances).filter_map(enterable).collect())
    }
}
