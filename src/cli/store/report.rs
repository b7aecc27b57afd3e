//! What the store's verbs print.

use std::collections::HashSet;

use comfy_table::{Cell, Color};
use serde::Serialize;

use crate::cli::output::{Report, Style, clean, colored, plural, table};
use crate::domain::rows::RowKind;
use crate::store::{Contents, Finding, Level, Location, Orphan, OrphanState};

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
pub struct Orphans {
    rows: Vec<Row>,
    #[serde(skip)]
    database: String,
    /// Rows that are counted in their organization's only.
    #[serde(skip)]
    folded: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: String,
    kind: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contents: Option<Contents>,
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
    (QUARANTINED, "its object vanished without cleanup: nobody said whether it may go."),
    (UNMANAGED, "made directly in the backend, or let go by a release, which takes the name of the object off it."),
];

impl Orphans {
    /// The rows of that store, `all` of them, or those in an organization without an object only as its contents.
    pub fn new(location: &Location, orphans: Vec<Orphan>, all: bool) -> Self {
        let (total, of_organizations) = (orphans.len(), orphans.iter().filter(|orphan| orphan.kind == RowKind::Organization));
        let listed: HashSet<_> = of_organizations.map(|orphan| orphan.external_id.clone()).collect();
        let folds = |orphan: &Orphan| !all && orphan.organization.as_ref().is_some_and(|organization| listed.contains(organization));
        let rows: Vec<_> = orphans.into_iter().filter(|orphan| !folds(orphan)).map(Row::from).collect();
        let database = match location {
            Location::File(path) => format!("sqlite://{}", path.display()),
            // Its URL has a user, who is not shown.
            Location::Server(_) => "…".to_owned(),
        };
        Self { database, folded: i64::try_from(total - rows.len()).unwrap_or(i64::MAX), rows }
    }
}

impl From<Orphan> for Row {
    fn from(orphan: Orphan) -> Self {
        let Orphan { external_id, kind, state, account, organization, was, name, contents } = orphan;
        let state = match state {
            OrphanState::Quarantined => QUARANTINED,
            OrphanState::Unmanaged => UNMANAGED,
        };
        Self { id: external_id, kind: kind.as_str(), state, name, contents, account, organization, was }
    }
}

impl Row {
    fn cells(&self) -> Vec<Cell> {
        let Self { id, kind, state, name, contents, account, organization, was } = self;
        let or_dash = |text: &Option<String>| Cell::new(text.as_deref().map_or_else(|| "-".to_owned(), clean));
        let contents = contents.as_ref().map(|contents| self::contents(contents, *kind == RowKind::Account.as_str()));
        let cells = [Cell::new(id), Cell::new(kind), Cell::new(state), or_dash(name), or_dash(&contents)];
        cells.into_iter().chain([Cell::new(account), or_dash(organization), or_dash(was)]).collect()
    }
}

/// `2 organizations, 5 operators, 1 widget`: what there is none of is left out.
pub fn contents(contents: &Contents, of_account: bool) -> String {
    let Contents { organizations, operators, departments, widgets, transcripts } = *contents;
    let organizations = if of_account { organizations } else { 0 };
    let counts = [
        (organizations, "organization"),
        (operators, "operator"),
        (departments, "department"),
        (widgets, "widget"),
        (transcripts, "transcript"),
    ];
    let counts: Vec<_> = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, one)| plural(count, one)).collect();
    if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") }
}

impl Report for Orphans {
    fn text(&self, style: Style) -> String {
        if self.rows.is_empty() {
            return "No row is without an object.\n".to_owned();
        }
        let header = ["ID", "Kind", "State", "Name", "Contents", "Account", "Organization", "Was"];
        let mut text = table(&header, self.rows.iter().map(Row::cells), style);
        for (state, meaning) in STATES {
            if self.rows.iter().any(|row| row.state == state) {
                text = text + state + ": " + meaning + "\n";
            }
        }
        if self.folded > 0 {
            let (rows, database) = (plural(self.folded, "row"), &self.database);
            text = format!("{text}{rows} in these organizations: deskplane store orphans --all --database {database}\n");
        }
        format!(
            "{text}They keep their data and seats, and nothing is done about them. To erase one for good, with all that is in it: \
             deskplane store erase-row ID --database {}\n",
            self.database
        )
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use serde_json::json;

    use super::*;

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

    fn orphan(external_id: &str, kind: RowKind, state: OrphanState, organization: Option<&str>, was: Option<&str>) -> Orphan {
        Orphan {
            external_id: external_id.to_owned(),
            kind,
            state,
            account: "acct_1".to_owned(),
            organization: organization.map(str::to_owned),
            was: was.map(str::to_owned),
            name: None,
            contents: None,
        }
    }

    fn orphans() -> Vec<Orphan> {
        let contents = Contents { organizations: 1, operators: 2, departments: 0, widgets: 1, transcripts: 0 };
        let organization = orphan("org_7", RowKind::Organization, OrphanState::Unmanaged, None, None);
        vec![
            Orphan { name: Some("Acme Germany".to_owned()), contents: Some(contents), ..organization },
            orphan("oper_1", RowKind::Operator, OrphanState::Unmanaged, Some("org_7"), None),
            orphan("oper_2", RowKind::Operator, OrphanState::Unmanaged, Some("org_7"), None),
            orphan("oper_9", RowKind::Operator, OrphanState::Quarantined, Some("org_1"), Some("chat/tom")),
            orphan("wdgt_3", RowKind::Widget, OrphanState::Unmanaged, Some("org_7"), None),
        ]
    }

    #[test]
    fn orphans_are_listed_with_what_is_known_of_them() {
        let location = Location::parse("sqlite:///data/accounts.db").unwrap();
        let listed = Orphans::new(&location, orphans(), false);
        insta::assert_snapshot!(listed.text(PLAIN), @"
        ID       KIND           STATE         NAME           CONTENTS                ACCOUNT   ORGANIZATION   WAS
        org_7    Organization   Unmanaged     Acme Germany   2 operators, 1 widget   acct_1    -              -
        oper_9   Operator       Quarantined   -              -                       acct_1    org_1          chat/tom
        Quarantined: its object vanished without cleanup: nobody said whether it may go.
        Unmanaged: made directly in the backend, or let go by a release, which takes the name of the object off it.
        3 rows in these organizations: deskplane store orphans --all --database sqlite:///data/accounts.db
        They keep their data and seats, and nothing is done about them. To erase one for good, with all that is in it: deskplane store erase-row ID --database sqlite:///data/accounts.db
        ");
        let json = serde_json::to_value(listed).unwrap();
        assert_eq!(
            (&json[0]["name"], &json[0]["contents"]["operators"], &json[1]["was"]),
            (&json!("Acme Germany"), &json!(2), &json!("chat/tom"))
        );
        let all = serde_json::to_value(Orphans::new(&location, orphans(), true)).unwrap();
        assert_eq!(all.as_array().map(Vec::len), Some(5));
        assert_eq!(Orphans::new(&location, vec![], false).text(PLAIN), "No row is without an object.\n");
    }

    #[test]
    fn the_contents_of_an_account_include_its_organizations() {
        let full = Contents { organizations: 2, operators: 1, departments: 3, widgets: 0, transcripts: 4 };
        assert_eq!(contents(&full, true), "2 organizations, 1 operator, 3 departments, 4 transcripts");
        let empty = Contents { organizations: 1, operators: 0, departments: 0, widgets: 0, transcripts: 0 };
        assert_eq!(contents(&empty, false), "nothing");
    }
}
