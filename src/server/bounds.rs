//! Bounds of what comes without the API server's validation: as the kinds bound them, in words that name the field of the body.
//!
//! The document at /openapi.json states the same bounds; a test holds the two together.

use crate::backend::wire::{
    FirstOperator, ObjectRef, PutAccount, PutDepartment, PutOperator, PutOrganization, PutTicket, PutWidget, TakeEpoch,
};
use crate::backend::{CredentialIntent, CredentialOutcome};
use crate::domain::rows::{DesiredAccount, DesiredDepartment, DesiredOperator, DesiredOrganization, DesiredWidget, Privacy};
use crate::domain::seats::Limits;
use crate::domain::transcript::RETENTION_DAYS;

use super::refusal::{Answer, Refusal};

/// Names of objects, Secrets, owners; keys.
pub(super) const NAME: usize = 253;
pub(super) const DISPLAY_NAME: usize = 200;
pub(super) const EMAIL: usize = 254;
pub(super) const LANGUAGE: usize = 63;
pub(super) const PLACE: usize = 64;
pub(super) const COLOR: usize = 32;
pub(super) const ORIGIN: usize = 300;
pub(super) const ORIGINS: usize = 64;
pub(super) const HASH: usize = 256;
pub(super) const POSITION: i32 = 1_000_000;
pub(super) const LIMIT: i64 = 1_000_000;

/// What can be checked before anything is asked of the store.
pub(super) trait Bounded {
    /// Refuses what is out of bounds. `at` is where it stands in the body, with a dot behind it.
    fn check(&self, at: &str) -> Answer<()>;
}

fn text(at: &str, field: &str, value: &str, longest: usize) -> Answer<()> {
    let refuse = |what: String| Err(Refusal::invalid(format!("{at}{field}"), what));
    if value.chars().nth(longest).is_some() {
        return refuse(format!("is longer than {longest} characters; shorten it"));
    }
    if value.chars().any(char::is_control) {
        return refuse("contains control characters; remove them".to_owned());
    }
    Ok(())
}

fn required(at: &str, field: &str, value: &str, longest: usize) -> Answer<()> {
    if value.trim().is_empty() {
        return Err(Refusal::invalid(format!("{at}{field}"), "is empty"));
    }
    text(at, field, value, longest)
}

fn optional(at: &str, field: &str, value: Option<&String>, longest: usize) -> Answer<()> {
    value.map_or(Ok(()), |value| text(at, field, value, longest))
}

pub(super) fn email(at: &str, field: &str, value: &str) -> Answer<()> {
    text(at, field, value, EMAIL)?;
    let parts = value.rsplit_once('@').filter(|(person, host)| !person.is_empty() && !host.is_empty());
    if parts.is_none() || value.chars().any(char::is_whitespace) {
        return Err(Refusal::invalid(format!("{at}{field}"), "must be one e-mail address, such as ada@acme.example"));
    }
    Ok(())
}

fn within(at: &str, field: &str, value: i64, least: i64, most: i64) -> Answer<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{at}{field}"), format!("must be from {least} to {most}")))
}

fn position(at: &str, value: Option<i32>) -> Answer<()> {
    value.map_or(Ok(()), |value| within(at, "position", value.into(), (-POSITION).into(), POSITION.into()))
}

/// A client key or an external id: what can stand in a path as it is.
pub(super) fn key(field: &str, key: &str) -> Answer<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if (1..=NAME).contains(&key.len()) && key.bytes().all(allowed) && !key.bytes().all(|byte| byte == b'.') {
        return Ok(());
    }
    Err(Refusal::invalid(field, format!("must be 1 to {NAME} letters, digits, '-', '_', '.' or ':'")))
}

/// Whether that is an id of the store's.
pub(super) fn is_external(id: &str) -> bool {
    ["acct_", "org_", "oper_", "dept_", "wdgt_"].iter().any(|prefix| id.starts_with(prefix))
}

/// An owner id or the id of a store.
pub(super) fn name(field: &str, value: &str) -> Answer<()> {
    required("", field, value, NAME)
}

impl Bounded for ObjectRef {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { namespace, name } = self;
        required(at, "namespace", namespace, NAME)?;
        required(at, "name", name, NAME)
    }
}

impl Bounded for Limits {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { seats, organizations, widgets } = *self;
        within(at, "seats", seats, 1, LIMIT)?;
        organizations.map_or(Ok(()), |number| within(at, "organizations", number, 1, LIMIT))?;
        widgets.map_or(Ok(()), |number| within(at, "widgets", number, 0, LIMIT))
    }
}

impl Bounded for DesiredAccount {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { owner_email, owner_display_name, limits } = self;
        email(at, "ownerEmail", owner_email)?;
        optional(at, "ownerDisplayName", owner_display_name.as_ref(), DISPLAY_NAME)?;
        limits.check(&format!("{at}limits."))
    }
}

impl Bounded for DesiredOrganization {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { display_name, language, country, time_zone, privacy } = self;
        optional(at, "displayName", display_name.as_ref(), DISPLAY_NAME)?;
        optional(at, "language", language.as_ref(), LANGUAGE)?;
        optional(at, "country", country.as_ref(), PLACE)?;
        optional(at, "timeZone", time_zone.as_ref(), PLACE)?;
        privacy.check(&format!("{at}privacy."))
    }
}

impl Bounded for Privacy {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { store_transcripts: _, retention_days, anonymize_visitors: _ } = self;
        let (least, most) = (*RETENTION_DAYS.start(), *RETENTION_DAYS.end());
        retention_days.map_or(Ok(()), |days| within(at, "retentionDays", days.into(), least.into(), most.into()))
    }
}

impl Bounded for DesiredOperator {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { email: address, display_name, nickname, role: _, suspended: _, position: place, switch_organizations: _ } = self;
        email(at, "email", address)?;
        optional(at, "displayName", display_name.as_ref(), DISPLAY_NAME)?;
        optional(at, "nickname", nickname.as_ref(), DISPLAY_NAME)?;
        position(at, *place)
    }
}

impl Bounded for CredentialIntent {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { hash, secret_name } = self;
        required(at, "hash", hash, HASH)?;
        required(at, "secretName", secret_name, NAME)
    }
}

impl Bounded for CredentialOutcome {
    fn check(&self, at: &str) -> Answer<()> {
        match self {
            Self::Created { hash } => required(at, "hash", hash, HASH),
            Self::FoundFromIntent | Self::Dropped => Ok(()),
        }
    }
}

impl Bounded for DesiredDepartment {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { display_name, position: place, members } = self;
        required(at, "displayName", display_name, DISPLAY_NAME)?;
        position(at, *place)?;
        members.iter().flatten().try_for_each(|member| key(&format!("{at}members"), &member.0))
    }
}

impl Bounded for DesiredWidget {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { display_name, language, allowed_origins, select_department: _, select_operator: _, color } = self;
        optional(at, "displayName", display_name.as_ref(), DISPLAY_NAME)?;
        optional(at, "language", language.as_ref(), LANGUAGE)?;
        optional(at, "color", color.as_ref(), COLOR)?;
        if allowed_origins.len() > ORIGINS {
            return Err(Refusal::invalid(format!("{at}allowedOrigins"), format!("names more than {ORIGINS} origins; name fewer")));
        }
        allowed_origins.iter().try_for_each(|origin| required(at, "allowedOrigins", origin, ORIGIN))
    }
}

impl Bounded for PutAccount {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { object, desired } = self;
        object.check(&format!("{at}object."))?;
        desired.check(&format!("{at}desired."))
    }
}

impl Bounded for PutOrganization {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { object, account, desired, first_operator } = self;
        object.check(&format!("{at}object."))?;
        key(&format!("{at}account"), &account.0)?;
        desired.check(&format!("{at}desired."))?;
        first_operator.iter().try_for_each(|first| first.check(&format!("{at}firstOperator.")))
    }
}

impl Bounded for FirstOperator {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { key: own, object, desired, credentials } = self;
        key(&format!("{at}key"), &own.0)?;
        object.check(&format!("{at}object."))?;
        desired.check(&format!("{at}desired."))?;
        credentials.iter().try_for_each(|intent| intent.check(&format!("{at}credentials.")))
    }
}

impl Bounded for PutOperator {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { object, organization, desired, credentials } = self;
        object.check(&format!("{at}object."))?;
        key(&format!("{at}organization"), &organization.0)?;
        desired.check(&format!("{at}desired."))?;
        credentials.iter().try_for_each(|intent| intent.check(&format!("{at}credentials.")))
    }
}

impl Bounded for PutDepartment {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { object, organization, desired } = self;
        object.check(&format!("{at}object."))?;
        key(&format!("{at}organization"), &organization.0)?;
        desired.check(&format!("{at}desired."))
    }
}

impl Bounded for PutWidget {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { object, organization, desired } = self;
        object.check(&format!("{at}object."))?;
        key(&format!("{at}organization"), &organization.0)?;
        desired.check(&format!("{at}desired."))
    }
}

impl Bounded for PutTicket {
    fn check(&self, _: &str) -> Answer<()> {
        let Self { paused: _ } = self;
        Ok(())
    }
}

impl Bounded for TakeEpoch {
    fn check(&self, at: &str) -> Answer<()> {
        let Self { owner } = self;
        required(at, "owner", owner, NAME)
    }
}
