//! What the store's verbs print.

use comfy_table::{Cell, Color};
use serde::Serialize;

use crate::cli::output::{Report, Style, colored, plural, table};
use crate::store::{Finding, Level, Location, Orphan, OrphanState};

/// What a check found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    database: String,
    errors: i64,
    notes: i64,
    findings: Vec<Found>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    level: &'static str,
    subject: String,
    detail: String,
}

impl Checked {
    /// The findings in that store.
    pub fn new(location: &Location, findings: Vec<Finding>) -> Self {
        let count = |level| i64::try_from(findings.iter().filter(|finding| finding.level == level).count()).unwrap_or(i64::MAX);
        let (errors, notes) = (count(Level::Error), count(Level::Note));
        let findings = findings.into_iter().map(|Finding { level, subject, detail }| {
            let level = match level {
                Level::Error => "Error",
                Level::Note => "Note",
            };
            Found { level, subject, detail }
        });
        Self { database: location.to_string(), errors, notes, findings: findings.collect() }
    }
}

impl Report for Checked {
    fn text(&self, style: Style) -> String {
        let verdict = match self.errors {
            0 => format!("{} is whole and keeps its rules.\n", self.database),
            errors => {
                format!("{}: {}. Stop the controller and restore a backup, or report this.\n", self.database, plural(errors, "error"))
            }
        };
        if self.findings.is_empty() {
            return verdict;
        }
        let rows = self.findings.iter().map(|Found { level, subject, detail }| {
            let color = if *level == "Error" { Color::Red } else { Color::Yellow };
            vec![colored(level, color), Cell::new(subject), Cell::new(detail)]
        });
        table(&["Level", "About", "Found"], rows, style) + &verdict
    }
}

/// Rows without an object.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Orphans(Vec<Row>);

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    kind: &'static str,
    state: &'static str,
    account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<String>,
}

const QUARANTINED: &str = "Quarantined";
const UNMANAGED: &str = "Unmanaged";

/// What the states mean.
const STATES: [(&str, &str); 2] = [
    (QUARANTINED, "its object vanished without cleanup."),
    (UNMANAGED, "made directly in the backend, or let go by a release, which takes the name of the object off it."),
];

impl Orphans {
    /// These rows.
    pub fn new(orphans: Vec<Orphan>) -> Self {
        let rows = orphans.into_iter().map(|Orphan { external_id, kind, state, account, organization, was }| {
            let state = match state {
                OrphanState::Quarantined => QUARANTINED,
                OrphanState::Unmanaged => UNMANAGED,
            };
            Row { id: external_id, kind: kind.as_str(), state, account, organization, was }
        });
        Self(rows.collect())
    }
}

impl Report for Orphans {
    fn text(&self, style: Style) -> String {
        if self.0.is_empty() {
            return "No row is without an object.\n".to_owned();
        }
        let rows = self.0.iter().map(|Row { id, kind, state, account, organization, was }| {
            let or_dash = |text: &Option<String>| Cell::new(text.as_deref().unwrap_or("-"));
            vec![Cell::new(id), Cell::new(kind), Cell::new(state), Cell::new(account), or_dash(organization), or_dash(was)]
        });
        let mut text = table(&["ID", "Kind", "State", "Account", "Organization", "Was"], rows, style);
        for (state, meaning) in STATES {
            if self.0.iter().any(|row| row.state == state) {
                text = text + state + ": " + meaning + "\n";
            }
        }
        text + "They keep their data and seats until one is erased: deskplane store erase-row ID\n"
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::domain::rows::RowKind;

    const PLAIN: Style = Style { color: false, now: Timestamp::UNIX_EPOCH };

    fn finding(level: Level, subject: &str, detail: &str) -> Finding {
        Finding { level, subject: subject.to_owned(), detail: detail.to_owned() }
    }

    #[test]
    fn a_check_says_whether_the_store_is_whole() {
        let location = Location::parse("accounts.db").unwrap();
        assert_eq!(Checked::new(&location, vec![]).text(PLAIN), "accounts.db is whole and keeps its rules.\n");
        let noted = Checked::new(&location, vec![finding(Level::Note, "org_1", "is being erased")]);
        insta::assert_snapshot!(noted.text(PLAIN), @"
        LEVEL   ABOUT   FOUND
        Note    org_1   is being erased
        accounts.db is whole and keeps its rules.
        ");
        let wrong = Checked::new(&location, vec![finding(Level::Error, "acct_1", "has reserved more than is free")]);
        insta::assert_snapshot!(wrong.text(PLAIN), @"
        LEVEL   ABOUT    FOUND
        Error   acct_1   has reserved more than is free
        accounts.db: 1 error. Stop the controller and restore a backup, or report this.
        ");
        assert_eq!(serde_json::to_value(wrong).unwrap()["errors"], 1);
    }

    #[test]
    fn orphans_are_listed_with_what_is_known_of_them() {
        let orphan = |external_id: &str, kind, state, organization: Option<&str>, was: Option<&str>| Orphan {
            external_id: external_id.to_owned(),
            kind,
            state,
            account: "acct_1".to_owned(),
            organization: organization.map(str::to_owned),
            was: was.map(str::to_owned),
        };
        let orphans = Orphans::new(vec![
            orphan("org_7", RowKind::Organization, OrphanState::Unmanaged, None, None),
            orphan("oper_9", RowKind::Operator, OrphanState::Quarantined, Some("org_1"), Some("chat/tom")),
        ]);
        insta::assert_snapshot!(orphans.text(PLAIN), @"
        ID       KIND           STATE         ACCOUNT   ORGANIZATION   WAS
        org_7    Organization   Unmanaged     acct_1    -              -
        oper_9   Operator       Quarantined   acct_1    org_1          chat/tom
        Quarantined: its object vanished without cleanup.
        Unmanaged: made directly in the backend, or let go by a release, which takes the name of the object off it.
        They keep their data and seats until one is erased: deskplane store erase-row ID
        ");
        let json = serde_json::to_value(orphans).unwrap();
        assert_eq!(json[1]["was"], "chat/tom");
        assert_eq!(Orphans::new(vec![]).text(PLAIN), "No row is without an object.\n");
    }
}
