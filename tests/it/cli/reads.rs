//! usage, tree, version, manifests: they only read.

use serde_json::{Value, json};

use super::{Desk, condition, deskplane};

impl Desk {
    /// The statuses of a controller that has seen everything.
    fn observe(&self) {
        let ready = condition("Ready", "True", "Synced", "");
        let within = condition("WithinPlan", "False", "OverPlan", "51 seats are held, the plan has 50.");
        let usage = json!({"organizations": 2, "operators": 5, "departments": 1, "widgets": 3, "transcripts": 7000});
        let seats = json!({"limit": 50, "held": 4, "waiting": 1, "unmanaged": 0});
        let account =
            json!({"observedGeneration": 1, "conditions": [ready, within], "usage": usage, "seats": seats, "seatSummary": "4/50"});
        self.set_status("acct", "acme", &account);
        let organization = json!({
            "observedGeneration": 1, "conditions": [ready], "usage": usage, "displayName": "Acme Germany",
            "seats": {"limit": 50, "held": 2, "waiting": 1, "unmanaged": 0}, "seatSummary": "2/50",
        });
        self.set_status("org", "acme-germany", &organization);
        let waiting = [
            condition("Ready", "False", "SeatLimitExceeded", "No free seat."),
            condition("Stalled", "True", "SeatLimitExceeded", "No free seat."),
        ];
        self.set_status("oper", "tom", &json!({"observedGeneration": 1, "conditions": waiting, "seat": "Waiting", "queuePosition": 1}));
    }
}

#[tokio::test]
async fn usage_prints_the_summary_and_the_organizations_of_the_account() {
    let desk = Desk::new("cli-usage").await;
    let unseen = desk.run(&["usage", "acme"]);
    assert_eq!(unseen.line("Seats:")[1..], ["-"], "{}", unseen.ok());
    assert_eq!(unseen.line("acme-germany")[3..5], ["Unknown", "NoStatus"]);

    desk.observe();
    let ran = desk.run(&["usage", "acme"]);
    assert!(ran.ok().contains(&format!("Plan:           {} (Custom)\n", desk.namespace)), "{}", ran.stdout);
    assert!(ran.stdout.contains("Seats:          4 of 50 held, 1 waiting, 0 unmanaged\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("Organizations:  2 of 10\n") && ran.stdout.contains("Widgets:        3 (no limit)\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("Within plan:    no: 51 seats are held, the plan has 50.\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("Transcripts:    7000\n"), "{}", ran.stdout);
    assert_eq!(ran.line("acme-germany")[..9], ["acme-germany", "Acme", "Germany", "True", "2", "5", "1", "3", "7000"]);
    assert!(!ran.stdout.contains("other-france") && !ran.stdout.contains('\u{1b}'), "{}", ran.stdout);

    let json = desk.run(&["usage", "acme", "-o", "json"]).json();
    assert_eq!(json["account"]["seats"]["held"], 4);
    assert_eq!(json["organizations"][0]["name"], "acme-germany");
    let yaml: Value = serde_yaml::from_str(desk.run(&["usage", "acme", "-o", "yaml"]).ok()).unwrap();
    assert_eq!(yaml, json);
}

#[tokio::test]
async fn usage_says_what_is_missing_and_needs_no_right_to_read_plans() {
    let desk = Desk::new("cli-usage-rights").await;
    desk.run(&["usage", "nobody"]).failed(3, &["Account ", "/nobody does not exist", "kubectl get acct -n "]);
    let stranger = desk.person("stranger", &["watch"]).await;
    desk.run_as(&stranger, &["usage", "acme"]).failed(4, &["Account ", "/acme", "forbidden", "stranger"]);
    let reader = desk.person("reader", &["get", "list"]).await;
    let ran = desk.run_as(&reader, &["usage", "acme"]);
    assert!(ran.ok().contains("limits not known") && ran.stdout.contains("(limit not known)"), "{}", ran.stdout);
    desk.run(&["usage"]).failed(2, &["<ACCOUNT>"]);
    desk.run(&["usage", "acme", "--context", "nowhere"]).failed(1, &["nowhere", "--context"]);
}

#[tokio::test]
async fn tree_shows_the_hierarchy_and_why_something_is_not_ready() {
    let desk = Desk::new("cli-tree").await;
    desk.observe();
    let ran = desk.run(&["tree"]);
    let names: Vec<_> =
        ran.ok().lines().take_while(|line| !line.is_empty()).skip(1).map(|line| line.split("   ").next().unwrap()).collect();
    let expected = ["Account/acme", "└─ Organization/acme-germany", "Account/other", "└─ Organization/other-france"];
    assert_eq!(names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect::<Vec<_>>(), expected, "{}", ran.stdout);
    assert_eq!(ran.line("Operator/tom")[1..], ["Operator/tom", "False", "SeatLimitExceeded", "Waiting", "(number", "1)", "Agent"]);
    assert_eq!(ran.line("Account/other")[1..], ["False", "NotFound"]);
    assert!(ran.stdout.contains(&format!("  Operator {}/tom: SeatLimitExceeded: No free seat.\n", desk.namespace)), "{}", ran.stdout);

    let one = desk.run(&["tree", "acme"]);
    assert!(one.ok().contains("Operator/tom") && !one.stdout.contains("other"), "{}", one.stdout);
    let json = desk.run(&["tree", "acme", "-o", "json"]).json();
    assert_eq!(json[0]["children"][0]["children"][0]["seats"], "Waiting (number 1)");
    desk.run(&["tree", "nobody"]).failed(3, &["/nobody does not exist"]);

    let all = deskplane(&desk.plane.kubeconfig(), &["tree", "-A"]);
    assert!(all.ok().starts_with("NAMESPACE"), "{}", all.stdout);
    assert_eq!(all.stdout.lines().filter(|line| line.starts_with(&desk.namespace)).count(), 5, "{}", all.stdout);
}

#[tokio::test]
async fn version_and_manifests_agree_with_the_cluster() {
    let desk = Desk::new("cli-version").await;
    let kubeconfig = desk.plane.kubeconfig();
    let json = deskplane(&kubeconfig, &["version", "--server", "-o", "json"]).json();
    assert_eq!(json["server"]["apiVersions"], json!(["deskplane.dev/v1alpha1"]));
    assert_eq!(json["client"]["version"], env!("CARGO_PKG_VERSION"));
    let manifests = deskplane(&kubeconfig, &["manifests"]);
    let output = desk.plane.kubectl_with(&["diff", "--server-side", "-f", "-"], manifests.ok());
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
}
