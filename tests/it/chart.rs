//! The Helm chart, without a cluster: what it renders, what it refuses, and that its parts agree with each other and with the program.

use std::collections::BTreeSet;
use std::fs;

use deskplane::cli::manifests;
use serde_json::{Map, Value};

use crate::helm::{CHART, helm, objects, only, render};

/// The values of `ci/`: nothing set, everything set, everything provided by others.
pub fn matrix() -> Vec<String> {
    let entries = fs::read_dir(format!("{CHART}/ci")).expect("charts/deskplane/ci");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path().to_string_lossy().into_owned()).collect();
    files.sort();
    assert!(files.len() >= 3);
    files
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn lint_finds_nothing_whatever_the_values() {
    for values in matrix() {
        let output = helm(&["lint", "--strict", CHART, "--values", &values]);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && !text.contains("[WARNING]"), "{values}: {text}");
    }
}

#[test]
fn values_that_cannot_be_right_are_refused_and_named() {
    let refused = [
        ("replicas", "replicas=2"),
        ("image", "image.tags=1"),
        ("/image/repository", "image.repository="),
        ("/image/tag", "image.tag=a b"),
        ("/image/digest", "image.digest=sha256:12"),
        ("/image/pullPolicy", "image.pullPolicy=Sometimes"),
        ("/controller/namespaces/0", "controller.namespaces={Chat}"),
        ("/controller/ownerId", "controller.ownerId=a b"),
        ("/controller/workers", "controller.workers=0"),
        ("/controller/workers", "controller.workers=many"),
        ("/controller/logFormat", "controller.logFormat=xml"),
        ("/controller/resources", "controller.resources.cpu=1"),
        ("/controller/resources/limits/memory", "controller.resources.limits.memory=lots"),
        ("/controller/tolerations/0/effect", "controller.tolerations[0].effect=Maybe"),
        ("/controller/affinity", "controller.affinity.nodes=near"),
        ("/controller/replicas", "controller.replicas=0"),
        ("database.postgres.secretName", "controller.replicas=2"),
        ("controller.ownerId", "database.none=true"),
        ("database.postgres.secretName", "database.none=true,database.postgres.secretName=a"),
        ("accountBackend.create", "database.none=true,controller.ownerId=a,accountBackend.create=true"),
        ("/database/postgres", "database.postgres=yes"),
        ("/database/postgres/secretName", "database.postgres.secretName=Not_A_Name"),
        ("/database/sqlite/accessMode", "database.sqlite.accessMode=ReadWriteMany"),
        ("/database/sqlite/size", "database.sqlite.size=big"),
        ("/accountBackend/name", "accountBackend.name=Not_A_Name"),
        ("/accountBackend/publicURL", "accountBackend.publicURL=chat.example"),
        ("/accountBackend/resyncInterval", "accountBackend.resyncInterval=10"),
        ("/crds/keep", "crds.keep=maybe"),
        ("/serviceAccount/name", "serviceAccount.name=a'b"),
        ("/metrics/service", "metrics.service=8080"),
    ];
    for (named, value) in refused {
        let output = helm(&["template", CHART, "--set", value]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(named), "{value}: {text}");
    }
}

#[test]
fn on_postgres_there_is_no_volume_and_no_password_in_the_arguments_and_the_lease_is_allowed() {
    let rendered = objects(&render("chat", &["--values", &format!("{CHART}/ci/postgres-values.yaml")]));
    assert!(rendered.iter().all(|object| object["kind"] != "PersistentVolumeClaim"));
    let spec = &only(&rendered, "Deployment")["spec"];
    assert_eq!((spec["replicas"].as_i64(), spec["strategy"]["type"].as_str()), (Some(2), Some("RollingUpdate")));
    let container = &spec["template"]["spec"]["containers"][0];
    let url = &container["env"][0];
    assert_eq!((&url["name"], &url["valueFrom"]["secretKeyRef"]["name"]), (&"DESKPLANE_DATABASE".into(), &"deskplane-database".into()));
    let args = container["args"].to_string();
    assert!(!args.contains("--database") && args.contains("--lease-name=deskplane-controller"), "{args}");
    leads_by_its_lease(&rendered);
}

/// The rights to its own Lease, and to no other.
fn leads_by_its_lease(rendered: &[Value]) {
    let named = |kind: &str| {
        let found = rendered.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == "deskplane-controller-lease");
        found.unwrap_or_else(|| panic!("no {kind} for the Lease"))
    };
    assert_eq!(named("Role")["rules"][1]["resourceNames"][0], "deskplane-controller");
    assert_eq!(named("RoleBinding")["roleRef"]["name"], "deskplane-controller-lease");
}

#[test]
fn without_a_store_there_is_no_volume_and_the_lease_is_allowed() {
    let rendered = objects(&render("chat", &["--values", &format!("{CHART}/ci/servers-values.yaml")]));
    assert!(rendered.iter().all(|object| object["kind"] != "PersistentVolumeClaim"));
    let spec = &only(&rendered, "Deployment")["spec"];
    let pod = &spec["template"]["spec"];
    assert_eq!((spec["replicas"].as_i64(), &pod["volumes"], &pod["containers"][0]["env"]), (Some(2), &Value::Null, &Value::Null));
    let args = pod["containers"][0]["args"].to_string();
    for arg in ["--database=none", "--owner-id=cluster-1", "--lease-name=deskplane-controller"] {
        assert!(args.contains(arg), "{args}");
    }
    leads_by_its_lease(&rendered);
    let on_file = objects(&render("chat", &[]));
    assert!(on_file.iter().all(|object| object["metadata"]["name"] != "deskplane-controller-lease"), "a file has a lock instead");
}

#[test]
fn an_older_kubernetes_is_refused() {
    let output = helm(&["template", CHART, "--kube-version", "1.35.9"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains(">=1.36.0-0") && text.contains("1.35.9"), "{text}");
    assert!(helm(&["template", CHART, "--kube-version", "1.36.0"]).status.success());
}

/// Definitions and policies of a rendered chart, without what the chart adds; and how many of them stay when it goes.
fn definitions(rendered: &str) -> (Vec<Value>, usize) {
    let ours = |object: &Value| {
        let api = object["apiVersion"].as_str().unwrap_or_default();
        api.starts_with("apiextensions.k8s.io/") || api.starts_with("admissionregistration.k8s.io/")
    };
    let mut found: Vec<_> = objects(rendered).into_iter().filter(ours).collect();
    let mut kept = 0;
    for object in &mut found {
        let annotations = object["metadata"].as_object_mut().and_then(|metadata| metadata.remove("annotations"));
        kept += usize::from(annotations.is_some_and(|annotations| annotations["helm.sh/resource-policy"] == "keep"));
    }
    (sorted(found), kept)
}

fn sorted(mut objects: Vec<Value>) -> Vec<Value> {
    objects.sort_by_key(|object| format!("{}/{}", object["kind"], object["metadata"]["name"]));
    objects
}

#[test]
fn kinds_and_policies_are_those_of_the_program_for_the_controller_of_the_release() {
    let cases = [
        ("deskplane-system", "", "system:serviceaccount:deskplane-system:deskplane"),
        ("chat", "", "system:serviceaccount:chat:deskplane"),
        ("chat", "serviceAccount.name=other", "system:serviceaccount:chat:other"),
        ("chat", "fullnameOverride=desk", "system:serviceaccount:chat:desk"),
        ("chat", "serviceAccount.create=false", "system:serviceaccount:chat:default"),
    ];
    for (namespace, value, user) in cases {
        let (found, kept) = definitions(&render(namespace, &["--set", value]));
        let files = manifests::files(user).expect("manifests");
        let expected = sorted(files.iter().flat_map(|(_, yaml)| objects(yaml)).collect());
        assert!(found == expected, "{namespace}, {value}: not what `deskplane manifests --controller-user {user}` prints");
        assert_eq!(kept, expected.len());
    }
    assert_eq!(definitions(&render("chat", &["--set", "crds.keep=false"])).1, 0);
    assert!(definitions(&render("chat", &["--set", "crds.enabled=false"])).0.is_empty());
}

#[test]
fn the_controller_has_the_rights_of_the_manifest_without_helm() {
    let rules = |objects: &[Value]| {
        let roles = objects.iter().filter(|object| object["kind"] == "ClusterRole");
        let mut found = roles.filter(|role| role["metadata"]["name"] == "deskplane-controller");
        found.next().expect("the controller's role")["rules"].clone()
    };
    let chart = objects(&render("chat", &[]));
    let manifest = objects(&read(concat!(env!("CARGO_MANIFEST_DIR"), "/hack/rbac.yaml")));
    assert_eq!(rules(&chart), rules(&manifest));
    let secrets = |objects: &[Value]| {
        let role = objects.iter().find(|object| object["kind"] == "Role" && object["metadata"]["name"] == "deskplane-secrets");
        role.expect("the role for the Secrets of its own namespace")["rules"].clone()
    };
    assert_eq!(secrets(&chart), secrets(&manifest));
    let namespaced: Vec<_> = chart.iter().filter(|object| object["kind"] == "RoleBinding").collect();
    assert!(namespaced.iter().all(|binding| binding["subjects"][0]["namespace"] == "chat"), "{namespaced:?}");
    let subject = &only(&chart, "ClusterRoleBinding")["subjects"][0];
    assert_eq!((subject["namespace"].as_str(), subject["name"].as_str()), (Some("chat"), Some("deskplane")));
}

#[test]
fn no_role_has_a_wildcard_and_no_role_for_people_writes_plans_or_backends() {
    for role in objects(&render("chat", &[])).iter().filter(|object| object["kind"] == "ClusterRole") {
        for rule in role["rules"].as_array().expect("rules") {
            let text = rule.to_string();
            assert!(!text.contains('*'), "{text}");
            let people = role["metadata"]["name"] != "deskplane-controller";
            let writes = ["create", "update", "patch", "delete"].iter().any(|verb| text.contains(&format!("\"{verb}\"")));
            assert!(!(people && writes && (text.contains("plans") || text.contains("backends"))), "{text}");
        }
    }
}

#[test]
fn the_notes_say_what_to_type_next_and_before_the_end() {
    let notes = |args: &[&str]| {
        let output = helm(&[&["install", "deskplane", CHART, "--namespace", "chat", "--dry-run=client"], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.split_once("NOTES:").expect("notes").1.to_owned()
    };
    let plain = notes(&[]);
    for line in [
        "kubectl rollout status deployment/deskplane -n chat",
        "kind: AccountBackend",
        "deskplane release --all -A",
        "helm uninstall deskplane -n chat",
    ] {
        assert!(plain.contains(line), "{line}: {plain}");
    }
    assert!(!notes(&["--set", "accountBackend.create=true"]).contains("kind: AccountBackend"));
    let others = notes(&["--set", "crds.enabled=false"]);
    assert!(others.contains("--controller-user system:serviceaccount:chat:deskplane"), "{others}");
}

#[test]
fn time_zones_are_in_the_program_for_the_image_has_none() {
    assert!(jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").is_ok());
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let chart = &objects(&read(&format!("{CHART}/Chart.yaml")))[0];
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

/// The rows of the README's table: each value with its default, and the schema's description.
fn rows_below(schema: &Value, defaults: &Map<String, Value>, path: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for (key, default) in defaults {
        let described = &schema["properties"][key];
        match default.as_object() {
            Some(fields) if !fields.is_empty() && described["properties"].is_object() => {
                rows.extend(rows_below(described, fields, &format!("{path}{key}.")));
            }
            _ => {
                let description = described["description"].as_str().unwrap_or_else(|| panic!("{path}{key} has no description"));
                rows.push(format!("| `{path}{key}` | `{default}` | {description} |"));
            }
        }
    }
    rows
}

#[test]
fn the_readme_lists_every_value_of_the_schema_with_its_default() {
    let schema: Value = serde_json::from_str(&read(&format!("{CHART}/values.schema.json"))).expect("JSON");
    let values = objects(&read(&format!("{CHART}/values.yaml"))).remove(0);
    let mut expected = rows_below(&schema, values.as_object().expect("a map"), "");
    let readme = read(&format!("{CHART}/README.md"));
    let table = readme.split_once("| value | default |").expect("the table of values").1;
    let mut listed: Vec<_> = table.lines().skip(2).take_while(|line| line.starts_with('|')).map(str::to_owned).collect();
    expected.sort();
    listed.sort();
    assert!(listed == expected, "charts/deskplane/README.md should list:\n{}", expected.join("\n"));
    same_keys(&schema, &values, "");
}

/// Whatever the schema knows has a default, and the other way round.
fn same_keys(schema: &Value, defaults: &Value, path: &str) {
    let (Some(known), Some(set)) = (schema["properties"].as_object(), defaults.as_object()) else { return };
    assert!(schema["additionalProperties"] == false, "{path} takes what it does not know");
    if set.is_empty() {
        return;
    }
    let known: BTreeSet<_> = known.keys().filter(|key| *key != "global").collect();
    assert_eq!(known, set.keys().collect(), "{path}");
    for key in known {
        same_keys(&schema["properties"][key], &defaults[key], &format!("{path}/{key}"));
    }
}
