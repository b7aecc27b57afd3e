//! The receipt: what became of each object.

use comfy_table::{Cell, Color};
use serde::Serialize;

use super::dependents::Held;
use crate::api::condition::Reason;
use crate::cli::output::{Report, Style, colored, plural, table};
use crate::cli::target::{Target, TargetKind};
use crate::domain::text::display;

/// How many held dependents are named.
const NAMED: usize = 10;
/// Longest message.
const MAX_MESSAGE: usize = 200;

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome")]
pub enum Outcome {
    /// It carries the annotation, and nobody waited.
    Asked,
    /// The controller has let go: the object lives on, without row and finalizer.
    Released,
    /// The object does not exist any more.
    Gone,
    /// The annotation is not allowed.
    Refused {
        /// The API server's words.
        message: String,
    },
    /// It is not let go.
    Remains {
        /// One word.
        reason: String,
        /// For people.
        message: String,
    },
}

/// An object and what became of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    #[serde(skip)]
    pub kind: TargetKind,
    #[serde(rename = "kind")]
    kind_name: &'static str,
    pub namespace: String,
    pub name: String,
    pub uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Line {
    /// An object as it was before.
    pub fn new(target: &Target, outcome: Outcome) -> Self {
        Self {
            kind: target.kind,
            kind_name: target.kind.as_str(),
            namespace: target.namespace().to_owned(),
            name: target.name().to_owned(),
            uid: target.uid().to_owned(),
            external_id: target.row_id().map(str::to_owned),
            outcome,
        }
    }

    /// Whether nothing more will happen to it.
    pub fn is_settled(&self) -> bool {
        matches!(self.outcome, Outcome::Released | Outcome::Gone | Outcome::Refused { .. })
    }

    /// Whether it is not let go.
    pub fn remains(&self) -> bool {
        matches!(self.outcome, Outcome::Refused { .. } | Outcome::Remains { .. })
    }

    /// Takes over what the object says now. Its row may have been made since it was first read.
    pub fn update(&mut self, target: &Target) {
        self.external_id = target.row_id().map(str::to_owned).or(self.external_id.take());
        self.outcome = Self::outcome_of(target);
    }

    /// What an object says now.
    fn outcome_of(target: &Target) -> Outcome {
        let (reason, message) = target.ready().unwrap_or_else(|| ("NoStatus".to_owned(), "the controller has not seen it".to_owned()));
        if reason != Reason::Released.as_str() {
            return Outcome::Remains { reason, message };
        }
        // Whoever uninstalls now could not delete it. (What only went along with its account loses the finalizer when it is deleted.)
        if target.released() && target.held_by_finalizer() {
            return Outcome::Remains { reason: "Finalizer".to_owned(), message: "released, but still held by its finalizer".to_owned() };
        }
        Outcome::Released
    }
}

/// What became of all.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    objects: Vec<Line>,
    /// Operators, departments and widgets that still have our finalizer.
    held: Vec<Held>,
    remaining: i64,
}

impl Receipt {
    /// A receipt.
    pub fn new(objects: Vec<Line>, held: Vec<Held>) -> Self {
        let remaining = objects.iter().filter(|line| line.remains()).count() + held.len();
        Self { objects, held, remaining: i64::try_from(remaining).unwrap_or(i64::MAX) }
    }

    /// How many are not let go.
    pub fn remaining(&self) -> i64 {
        self.remaining
    }

    /// Whether all is let go but for dependents that still have our finalizer.
    pub fn only_held(&self) -> bool {
        !self.held.is_empty() && !self.objects.iter().any(Line::remains)
    }

    /// Whether rights are all that is missing.
    pub fn only_refused(&self) -> bool {
        self.held.is_empty() && !self.objects.iter().any(|line| matches!(line.outcome, Outcome::Remains { .. }))
    }
}

impl Report for Receipt {
    fn text(&self, style: Style) -> String {
        if self.objects.is_empty() {
            return "Nothing to release.\n".to_owned();
        }
        let header = ["Object", "UID", "External ID", "Outcome"];
        let mut text = table(&header, self.objects.iter().map(Line::row), style);
        for held in self.held.iter().take(NAMED) {
            text = format!("{text}{held} is still held by its finalizer.\n");
        }
        if self.held.len() > NAMED {
            text = format!("{text}So are {} more: see -o json.\n", self.held.len() - NAMED);
        }
        let released = self.objects.iter().filter(|line| line.is_settled() && !matches!(line.outcome, Outcome::Refused { .. }));
        let released = i64::try_from(released.count()).unwrap_or(i64::MAX);
        match (released, self.remaining) {
            (0, 0) => format!("{text}The controller is asked to let go; nobody waited.\n"),
            (released, 0) => format!("{text}{} let go. The backend keeps what was in them.\n", plural(released, "object")),
            (released, remaining) => format!("{text}{} let go, {remaining} not.\n", plural(released, "object")),
        }
    }
}

impl Line {
    fn row(&self) -> Vec<Cell> {
        let outcome = match &self.outcome {
            Outcome::Asked => Cell::new("Asked"),
            Outcome::Released => colored("Released", Color::Green),
            Outcome::Gone => colored("Gone", Color::Green),
            Outcome::Refused { message } => colored(format!("Refused: {}", display(message, MAX_MESSAGE)), Color::Red),
            Outcome::Remains { reason, message } => colored(format!("Remains: {reason}: {}", display(message, MAX_MESSAGE)), Color::Red),
        };
        vec![
            Cell::new(format!("{} {}/{}", self.kind_name, self.namespace, self.name)),
            Cell::new(&self.uid),
            Cell::new(self.external_id.as_deref().unwrap_or("-")),
            outcome,
        ]
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    const PLAIN: Style = Style { color: false, now: Timestamp::UNIX_EPOCH };

    fn target(name: &str, finalizers: &Value, reason: Option<&str>) -> Target {
        let condition = |reason| json!({"type": "Ready", "status": "False", "reason": reason, "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = json!({"externalId": format!("org_{name}"), "conditions": reason.map(condition).into_iter().collect::<Vec<_>>()});
        let annotations = json!({"deskplane.dev/release": "a"});
        let metadata =
            json!({"name": name, "namespace": "chat", "uid": format!("uid-{name}"), "finalizers": finalizers, "annotations": annotations});
        Target::new(TargetKind::Organization, serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap())
    }

    #[test]
    fn released_means_said_so_and_without_finalizer() {
        assert_eq!(Line::outcome_of(&target("a", &json!([]), Some("Released"))), Outcome::Released);
        let held = Line::outcome_of(&target("a", &json!(["deskplane.dev/erase"]), Some("Released")));
        assert!(matches!(held, Outcome::Remains { reason, .. } if reason == "Finalizer"));
        let along = Line::outcome_of(&target("b", &json!(["deskplane.dev/erase"]), Some("Released")));
        assert_eq!(along, Outcome::Released, "it went along with its account");
        let synced = Line::outcome_of(&target("a", &json!([]), Some("Synced")));
        assert!(matches!(synced, Outcome::Remains { reason, .. } if reason == "Synced"));
        let unseen = Line::outcome_of(&target("a", &json!([]), None));
        assert!(matches!(unseen, Outcome::Remains { reason, .. } if reason == "NoStatus"));
    }

    fn line(name: &str, outcome: Outcome) -> Line {
        Line::new(&target(name, &json!([]), None), outcome)
    }

    #[test]
    fn what_was_let_go_before_keeps_its_id_in_the_receipt() {
        let object = |status: Value| {
            let metadata = json!({"name": "a", "namespace": "chat", "uid": "uid-a"});
            Target::new(TargetKind::Organization, serde_json::from_value(json!({"metadata": metadata, "status": status})).unwrap())
        };
        let before = object(json!({"releasedId": "org_1"}));
        assert_eq!(Line::new(&before, Outcome::Asked).external_id.as_deref(), Some("org_1"));
        let mut line = Line::new(&object(json!({})), Outcome::Asked);
        line.update(&before);
        line.update(&object(json!({})));
        assert_eq!(line.external_id.as_deref(), Some("org_1"), "its row was made after it was first read");
    }

    #[test]
    fn the_receipt_lists_each_object_and_counts() {
        let lines = vec![line("a", Outcome::Released), line("b", Outcome::Gone)];
        insta::assert_snapshot!(Receipt::new(lines, vec![]).text(PLAIN), @"
        OBJECT                UID     EXTERNAL ID   OUTCOME
        Organization chat/a   uid-a   org_a         Released
        Organization chat/b   uid-b   org_b         Gone
        2 objects let go. The backend keeps what was in them.
        ");
    }

    #[test]
    fn what_remains_is_named() {
        let remains = Outcome::Remains { reason: "BackendUnreachable".to_owned(), message: "The store does not answer.".to_owned() };
        let refused = Outcome::Refused { message: "it needs the verb \"release\"".to_owned() };
        let held = vec![Held { kind: "Operator".to_owned(), namespace: "chat".to_owned(), name: "tom".to_owned() }];
        let receipt = Receipt::new(vec![line("a", Outcome::Released), line("b", remains), line("c", refused)], held);
        assert_eq!(receipt.remaining(), 3);
        insta::assert_snapshot!(receipt.text(PLAIN), @r#"
        OBJECT                UID     EXTERNAL ID   OUTCOME
        Organization chat/a   uid-a   org_a         Released
        Organization chat/b   uid-b   org_b         Remains: BackendUnreachable: The store does not answer.
        Organization chat/c   uid-c   org_c         Refused: it needs the verb "release"
        Operator chat/tom is still held by its finalizer.
        1 object let go, 3 not.
        "#);
    }

    #[test]
    fn programs_read_the_receipt() {
        let refused = Outcome::Refused { message: "no".to_owned() };
        let json = serde_json::to_value(Receipt::new(vec![line("a", Outcome::Released), line("b", refused)], vec![])).unwrap();
        let expected =
            json!({"kind": "Organization", "namespace": "chat", "name": "a", "uid": "uid-a", "externalId": "org_a", "outcome": "Released"});
        assert_eq!(json["objects"][0], expected);
        assert_eq!((&json["objects"][1]["outcome"], &json["objects"][1]["message"]), (&json!("Refused"), &json!("no")));
        assert_eq!(json["remaining"], 1);
    }
}
