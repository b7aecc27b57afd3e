//! The hierarchy as a picture of lines.

use comfy_table::{Cell, Color};
use serde::{Serialize, Serializer};

use super::build::{Kind, Node};
use crate::cli::output::{Report, Style, colored, table};
use crate::cli::view::Ready;
use crate::domain::text::display;

/// How many objects are explained below the picture.
const EXPLAINED: usize = 10;
/// Longest explanation.
const MAX_MESSAGE: usize = 300;

/// The hierarchy.
pub struct Tree {
    /// What stands at the top: accounts, and parents that are missing.
    pub roots: Vec<Node>,
    /// Where it was looked; absent: in all namespaces, which get a column.
    pub namespace: Option<String>,
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.roots.serialize(serializer)
    }
}

impl Report for Tree {
    fn text(&self, style: Style) -> String {
        if self.roots.is_empty() {
            return match &self.namespace {
                Some(namespace) => format!("No accounts in namespace {namespace}. To look in all: deskplane tree -A\n"),
                None => "No accounts.\n".to_owned(),
            };
        }
        let mut lines = vec![];
        for root in &self.roots {
            lines.push((String::new(), root));
            draw(root, "", &mut lines);
        }
        let rows = lines.iter().map(|(branch, node)| self.row(branch, node));
        let mut header = vec!["Name", "Ready", "Reason", "Seats", "Details"];
        if self.namespace.is_none() {
            header.insert(0, "Namespace");
        }
        table(&header, rows, style) + &explain(lines.iter().map(|(_, node)| *node))
    }
}

impl Tree {
    fn row(&self, branch: &str, node: &Node) -> Vec<Cell> {
        let name = format!("{branch}{:?}/{}", node.kind, node.name);
        let name = if node.kind == Kind::Account { colored(name, Color::Cyan) } else { Cell::new(name) };
        let mut row = vec![name, node.ready.cell(), Cell::new(node.ready.why()), Cell::new(&node.seats), Cell::new(&node.details)];
        if self.namespace.is_none() {
            row.insert(0, Cell::new(&node.namespace));
        }
        row
    }
}

fn draw<'a>(parent: &'a Node, indent: &str, lines: &mut Vec<(String, &'a Node)>) {
    let last = parent.children.len().saturating_sub(1);
    for (index, child) in parent.children.iter().enumerate() {
        let (branch, deeper) = if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lines.push((format!("{indent}{branch}"), child));
        draw(child, &format!("{indent}{deeper}"), lines);
    }
}

/// What is not ready says why, below the picture.
fn explain<'a>(nodes: impl Iterator<Item = &'a Node>) -> String {
    let not_ready: Vec<_> = nodes.filter(|node| node.ready.status != Ready::True).collect();
    if not_ready.is_empty() {
        return String::new();
    }
    let mut lines = vec![String::new(), format!("Not ready: {}", not_ready.len())];
    lines.extend(not_ready.iter().take(EXPLAINED).map(|Node { kind, namespace, name, ready, .. }| {
        format!("  {kind:?} {namespace}/{name}: {}: {}", ready.reason, display(&ready.message, MAX_MESSAGE))
    }));
    if not_ready.len() > EXPLAINED {
        lines.push(format!("  and {} more: see -o json", not_ready.len() - EXPLAINED));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::super::build::{Entry, assemble};
    use super::*;
    use crate::cli::view::Readiness;

    const PLAIN: Style = Style { color: false, now: Timestamp::UNIX_EPOCH };

    fn entry(kind: Kind, name: &str, parent: &str, seats: &str, details: &str) -> Entry {
        let node = Node {
            kind,
            namespace: "chat".to_owned(),
            name: name.to_owned(),
            ready: Readiness::synced(),
            seats: seats.to_owned(),
            details: details.to_owned(),
            children: vec![],
        };
        Entry { parent: parent.to_owned(), position: i32::MAX, node }
    }

    fn acme() -> Vec<Entry> {
        let mut waiting = entry(Kind::Operator, "tom", "acme-germany", "Waiting (number 1)", "Agent");
        waiting.node.ready = Readiness::not("SeatLimitExceeded", "No free seat.\u{1b}");
        let mut first = entry(Kind::Operator, "zoe", "acme-germany", "Held", "Manager");
        first.position = 1;
        vec![
            entry(Kind::Account, "acme", "", "2/2", "plan custom"),
            entry(Kind::Widget, "web", "acme-germany", "", "Online"),
            waiting,
            first,
            entry(Kind::Department, "sales", "acme-germany", "", "1 member"),
            entry(Kind::Organization, "acme-germany", "acme", "1/2", "Acme Germany"),
            entry(Kind::Organization, "acme-default", "acme", "1/2", "Acme"),
            entry(Kind::Operator, "ada", "acme-default", "Held", "Manager"),
        ]
    }

    #[test]
    fn the_hierarchy_is_drawn_and_what_is_not_ready_explained() {
        let tree = Tree { roots: assemble(acme(), Some("acme")), namespace: Some("chat".to_owned()) };
        insta::assert_snapshot!(tree.text(PLAIN), @"
        NAME                           READY   REASON              SEATS                DETAILS
        Account/acme                   True                        2/2                  plan custom
        ├─ Organization/acme-default   True                        1/2                  Acme
        │  └─ Operator/ada             True                        Held                 Manager
        └─ Organization/acme-germany   True                        1/2                  Acme Germany
           ├─ Operator/zoe             True                        Held                 Manager
           ├─ Operator/tom             False   SeatLimitExceeded   Waiting (number 1)   Agent
           ├─ Department/sales         True                                             1 member
           └─ Widget/web               True                                             Online

        Not ready: 1
          Operator chat/tom: SeatLimitExceeded: No free seat.
        ");
    }

    #[test]
    fn missing_parents_and_unreadable_objects_are_shown() {
        let mut unreadable = entry(Kind::Operator, "broken", "", "", "");
        unreadable.node.ready = Readiness::not("Unreadable", "missing field `email`");
        let entries = vec![
            entry(Kind::Organization, "lost", "gone", "", ""),
            entry(Kind::Operator, "ann", "lost", "Held", "Agent"),
            entry(Kind::Widget, "web", "nowhere", "", ""),
            unreadable,
        ];
        let tree = Tree { roots: assemble(entries, None), namespace: None };
        insta::assert_snapshot!(tree.text(PLAIN), @"
        NAMESPACE   NAME                   READY   REASON       SEATS   DETAILS
        chat        Account/gone           False   NotFound
        chat        └─ Organization/lost   True
        chat           └─ Operator/ann     True                 Held    Agent
        chat        Organization/nowhere   False   NotFound
        chat        └─ Widget/web          True
        chat        Operator/broken        False   Unreadable

        Not ready: 3
          Account chat/gone: NotFound: Others name it, and it does not exist.
          Organization chat/nowhere: NotFound: Others name it, and it does not exist.
          Operator chat/broken: Unreadable: missing field `email`
        ");
    }

    #[test]
    fn strangers_are_not_shown_below_one_account() {
        let mut entries = acme();
        entries.push(entry(Kind::Operator, "stranger", "other-organization", "Held", "Agent"));
        let names = Tree { roots: assemble(entries, Some("acme")), namespace: Some("chat".to_owned()) }.text(PLAIN);
        assert!(!names.contains("stranger") && !names.contains("other"), "{names}");
    }

    #[test]
    fn the_picture_has_colours_only_where_they_are_wanted() {
        let tree = || Tree { roots: assemble(acme(), None), namespace: Some("chat".to_owned()) };
        assert!(!tree().text(PLAIN).contains('\u{1b}'));
        assert!(tree().text(Style { color: true, ..PLAIN }).contains("\u{1b}["));
    }

    #[test]
    fn without_accounts_it_says_where_it_looked() {
        let text = |namespace: Option<&str>| Tree { roots: vec![], namespace: namespace.map(str::to_owned) }.text(PLAIN);
        assert_eq!(text(Some("chat")), "No accounts in namespace chat. To look in all: deskplane tree -A\n");
        assert_eq!(text(None), "No accounts.\n");
    }

    #[test]
    fn programs_read_the_hierarchy() {
        let json = serde_json::to_value(Tree { roots: assemble(acme(), None), namespace: Some("chat".to_owned()) }).unwrap();
        assert_eq!(json[0]["children"][1]["children"][1]["ready"]["reason"], "SeatLimitExceeded");
        assert_eq!(json[0]["children"][1]["children"][0]["name"], "zoe");
        assert_eq!(json[0]["seats"], "2/2");
    }
}
