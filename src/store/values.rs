//! Bounds of strings, for whoever comes without the API server's validation: no control characters, nothing endless.

use crate::backend::{BackendError, CredentialIntent};
use crate::domain::rows::{DesiredAccount, DesiredDepartment, DesiredOperator, DesiredOrganization, DesiredWidget, OwnerTag, Privacy};
use crate::domain::transcript::RETENTION_DAYS;

use super::error::{Step, refused};

/// The longest string the store takes; the kinds have tighter bounds of their own.
const LONGEST: usize = 1024;

/// How many origins a widget may have.
const ORIGINS: usize = 256;

fn text(field: &'static str, value: &str) -> Step<()> {
    let message = if value.chars().nth(LONGEST).is_some() {
        format!("is longer than {LONGEST} characters; shorten it")
    } else if value.chars().any(char::is_control) {
        "contains control characters; remove them".to_owned()
    } else {
        return Ok(());
    };
    refused(BackendError::Invalid { field: field.into(), message })
}

fn optional(field: &'static str, value: Option<&String>) -> Step<()> {
    value.map_or(Ok(()), |value| text(field, value))
}

fn email(field: &'static str, value: &str) -> Step<()> {
    if value.trim().is_empty() {
        return refused(BackendError::Invalid { field: field.into(), message: "is empty; give an e-mail address".to_owned() });
    }
    text(field, value)
}

pub(super) fn owner(owner: &str) -> Step<()> {
    if owner.is_empty() {
        return refused(BackendError::Invalid {
            field: "owner".into(),
            message: "is empty; name whose rows these are (--owner-id)".to_owned(),
        });
    }
    text("owner", owner)
}

pub(super) fn description(description: &str) -> Step<()> {
    text("description", description)
}

pub(super) fn tag(tag: &OwnerTag) -> Step<()> {
    text("metadata.namespace", &tag.namespace)?;
    text("metadata.name", &tag.name)?;
    if tag.key.0.is_empty() {
        return refused(BackendError::Invalid { field: "metadata.uid".into(), message: "is empty".to_owned() });
    }
    text("metadata.uid", &tag.key.0)
}

pub(super) fn account(desired: &DesiredAccount) -> Step<()> {
    let DesiredAccount { owner_email, owner_display_name, limits: _ } = desired;
    email("spec.owner.email", owner_email)?;
    optional("spec.owner.displayName", owner_display_name.as_ref())
}

pub(super) fn organization(desired: &DesiredOrganization) -> Step<()> {
    let DesiredOrganization { display_name, language, country, time_zone, privacy } = desired;
    optional("spec.displayName", display_name.as_ref())?;
    optional("spec.language", language.as_ref())?;
    optional("spec.location.country", country.as_ref())?;
    optional("spec.location.timeZone", time_zone.as_ref())?;
    let Privacy { store_transcripts: _, retention_days, anonymize_visitors: _ } = privacy;
    match retention_days {
        Some(days) if !RETENTION_DAYS.contains(days) => {
            let message = format!("must be from {} to {}", RETENTION_DAYS.start(), RETENTION_DAYS.end());
            refused(BackendError::Invalid { field: "spec.privacy.transcriptRetentionDays".into(), message })
        }
        _ => Ok(()),
    }
}

pub(super) fn operator(desired: &DesiredOperator, intent: Option<&CredentialIntent>) -> Step<()> {
    let DesiredOperator { email: address, display_name, nickname, role: _, suspended: _, position: _, switch_organizations: _ } = desired;
    email("spec.email", address)?;
    optional("spec.displayName", display_name.as_ref())?;
    optional("spec.nickname", nickname.as_ref())?;
    optional("spec.credentials.secretName", intent.map(|intent| &intent.secret_name))
}

pub(super) fn department(desired: &DesiredDepartment) -> Step<()> {
    let DesiredDepartment { display_name, position: _, members: _ } = desired;
    text("spec.displayName", display_name)
}

pub(super) fn widget(desired: &DesiredWidget) -> Step<()> {
    let DesiredWidget { display_name, language, allowed_origins, select_department: _, select_operator: _, color } = desired;
    optional("spec.displayName", display_name.as_ref())?;
    optional("spec.language", language.as_ref())?;
    optional("spec.theme.color", color.as_ref())?;
    if allowed_origins.len() > ORIGINS {
        let message = format!("names more than {ORIGINS} origins; name fewer");
        return refused(BackendError::Invalid { field: "spec.allowedOrigins".into(), message });
    }
    allowed_origins.iter().try_for_each(|origin| text("spec.allowedOrigins", origin))
}
