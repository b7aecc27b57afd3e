//! What differs between the row that is desired and the row that is observed (rule 19). Only fields present in the spec count.

use super::rows::{DesiredAccount, DesiredDepartment, DesiredOperator, DesiredOrganization, DesiredWidget, Privacy};

/// Names of the fields that differ, as in the spec.
pub type Changes = Vec<&'static str>;

/// Collects the names of the fields that differ.
#[derive(Default)]
struct Comparison(Changes);

impl Comparison {
    fn required<T: PartialEq>(&mut self, field: &'static str, desired: &T, observed: &T) {
        if desired != observed {
            self.0.push(field);
        }
    }

    fn optional<T: PartialEq>(&mut self, field: &'static str, desired: Option<&T>, observed: Option<&T>) {
        if desired.is_some() && desired != observed {
            self.0.push(field);
        }
    }
}

/// Compares an account.
pub fn account(desired: &DesiredAccount, observed: &DesiredAccount) -> Changes {
    let DesiredAccount { owner_email, owner_display_name, limits } = desired;
    let mut compare = Comparison::default();
    compare.required("owner.email", owner_email, &observed.owner_email);
    compare.optional("owner.displayName", owner_display_name.as_ref(), observed.owner_display_name.as_ref());
    compare.required("limits", limits, &observed.limits);
    compare.0
}

/// Compares an organization.
pub fn organization(desired: &DesiredOrganization, observed: &DesiredOrganization) -> Changes {
    let DesiredOrganization { display_name, language, country, time_zone, privacy } = desired;
    let Privacy { store_transcripts, retention_days, anonymize_visitors } = privacy;
    let mut compare = Comparison::default();
    compare.optional("displayName", display_name.as_ref(), observed.display_name.as_ref());
    compare.optional("language", language.as_ref(), observed.language.as_ref());
    compare.optional("location.country", country.as_ref(), observed.country.as_ref());
    compare.optional("location.timeZone", time_zone.as_ref(), observed.time_zone.as_ref());
    compare.optional("privacy.storeTranscripts", store_transcripts.as_ref(), observed.privacy.store_transcripts.as_ref());
    compare.optional("privacy.transcriptRetentionDays", retention_days.as_ref(), observed.privacy.retention_days.as_ref());
    compare.optional("privacy.anonymizeVisitors", anonymize_visitors.as_ref(), observed.privacy.anonymize_visitors.as_ref());
    compare.0
}

/// Compares an operator.
pub fn operator(desired: &DesiredOperator, observed: &DesiredOperator) -> Changes {
    let DesiredOperator { email, display_name, nickname, role, suspended, position, switch_organizations } = desired;
    let mut compare = Comparison::default();
    compare.required("email", email, &observed.email);
    compare.optional("displayName", display_name.as_ref(), observed.display_name.as_ref());
    compare.optional("nickname", nickname.as_ref(), observed.nickname.as_ref());
    compare.required("role", role, &observed.role);
    compare.required("suspended", suspended, &observed.suspended);
    compare.optional("position", position.as_ref(), observed.position.as_ref());
    compare.optional("switchOrganizations", switch_organizations.as_ref(), observed.switch_organizations.as_ref());
    compare.0
}

/// Compares a department.
pub fn department(desired: &DesiredDepartment, observed: &DesiredDepartment) -> Changes {
    let DesiredDepartment { display_name, position, members } = desired;
    let mut compare = Comparison::default();
    compare.required("displayName", display_name, &observed.display_name);
    compare.optional("position", position.as_ref(), observed.position.as_ref());
    compare.optional("members", members.as_ref(), observed.members.as_ref());
    compare.0
}

/// Compares a widget.
pub fn widget(desired: &DesiredWidget, observed: &DesiredWidget) -> Changes {
    let DesiredWidget { display_name, language, allowed_origins, select_department, select_operator, color } = desired;
    let mut compare = Comparison::default();
    compare.optional("displayName", display_name.as_ref(), observed.display_name.as_ref());
    compare.optional("language", language.as_ref(), observed.language.as_ref());
    compare.required("allowedOrigins", allowed_origins, &observed.allowed_origins);
    compare.optional("startForm.selectDepartment", select_department.as_ref(), observed.select_department.as_ref());
    compare.optional("startForm.selectOperator", select_operator.as_ref(), observed.select_operator.as_ref());
    compare.optional("theme.color", color.as_ref(), observed.color.as_ref());
    compare.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_absent_from_the_spec_is_not_compared() {
        let desired = DesiredOrganization { language: Some("de".to_owned()), ..Default::default() };
        let observed = DesiredOrganization { display_name: Some("X".to_owned()), language: Some("de".to_owned()), ..Default::default() };
        assert!(organization(&desired, &observed).is_empty());
        let other = DesiredOrganization { language: Some("en".to_owned()), ..observed };
        assert_eq!(organization(&desired, &other), ["language"]);
    }

    #[test]
    fn each_privacy_setting_is_compared_by_itself() {
        let set = Privacy { store_transcripts: Some(false), retention_days: Some(90), anonymize_visitors: Some(true) };
        let never = Privacy::default();
        let table: [(Privacy, Privacy, &[&str]); 6] = [
            (never, set, &[]),
            (set, set, &[]),
            (set, never, &["privacy.storeTranscripts", "privacy.transcriptRetentionDays", "privacy.anonymizeVisitors"]),
            (Privacy { retention_days: Some(30), ..never }, set, &["privacy.transcriptRetentionDays"]),
            // Said or not, they are stored; but what is said is written.
            (Privacy { store_transcripts: Some(true), ..never }, never, &["privacy.storeTranscripts"]),
            (Privacy { anonymize_visitors: Some(false), ..never }, set, &["privacy.anonymizeVisitors"]),
        ];
        for (desired, observed, expected) in table {
            let row = |privacy| DesiredOrganization { privacy, ..DesiredOrganization::default() };
            assert_eq!(organization(&row(desired), &row(observed)), expected, "{desired:?} {observed:?}");
        }
    }
}
