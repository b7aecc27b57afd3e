//! The Helm chart, without a cluster: what it renders, what it refuses, and that its parts agree with each other and with the program.

use std::collections::BTreeSet;
use std::fs;

use clap::Parser as _;
use deskplane::cli::{Cli, manifests};
use serde_json::{Map, Value, json};

use crate::helm::{CHART, helm, objects, only, render};

/// The values of `ci/`: nothing set, everything set, everything provided by others, and where accounts can be.
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
        ("/controller/podDisruptionBudget", "controller.podDisruptionBudget=1"),
        ("database.postgres.secretName", "controller.replicas=2"),
        ("controller.ownerId", "database.none=true"),
        ("database.postgres.secretName", "database.none=true,database.postgres.secretName=a"),
        ("accountBackend.server", "database.none=true,controller.ownerId=a,accountBackend.create=true"),
        ("/database/postgres", "database.postgres=yes"),
        ("/database/postgres/secretName", "database.postgres.secretName=Not_A_Name"),
        ("/database/sqlite/accessMode", "database.sqlite.accessMode=ReadWriteMany"),
        ("/database/sqlite/size", "database.sqlite.size=big"),
        ("server.tls.secretName", "server.enabled=true"),
        ("server.insecurePlainHttp", "server.enabled=true,server.tls.secretName=a,server.insecurePlainHttp=true"),
        ("server.database.postgres.secretName", "server.enabled=true,server.tls.secretName=a,server.replicas=2"),
        (
            "server.database.sqlite.existingClaim",
            "fullnameOverride=a,server.enabled=true,server.tls.secretName=a,server.database.sqlite.existingClaim=a-data",
        ),
        ("/server/enabled", "server.enabled=1"),
        ("/server/replicas", "server.replicas=0"),
        ("/server/database/sqlite/size", "server.database.sqlite.size=big"),
        ("/server/database/postgres/secretName", "server.database.postgres.secretName=Not_A_Name"),
        ("/server/tls/secretName", "server.tls.secretName=Not_A_Name"),
        ("/server/tls", "server.tls.cert=a"),
        ("/server/service/type", "server.service.type=ExternalName"),
        ("/server/service/port", "server.service.port=70000"),
        ("/server/env/DESKPLANE_DATABASE", "server.env.DESKPLANE_DATABASE=a"),
        ("/server/env", "server.env.lower=a"),
        ("/server/resources", "server.resources.cpu=1"),
        ("/server/terminationGracePeriodSeconds", "server.terminationGracePeriodSeconds=10"),
        ("/server/serviceAccount/name", "server.serviceAccount.name=a'b"),
        ("/accountBackend/name", "accountBackend.name=Not_A_Name"),
        ("/accountBackend/server/url", "accountBackend.server.url=http://accounts.example"),
        ("/accountBackend/server/caBundle", "accountBackend.server.caBundle=ca.crt"),
        ("/accountBackend/rateLimit", "accountBackend.rateLimit.burst=1"),
        (
            "accountBackend.rateLimit",
            "accountBackend.create=true,accountBackend.rateLimit.burst=1,accountBackend.rateLimit.requestsPerSecond=1",
        ),
        ("controller.ownerId", "accountBackend.create=true,accountBackend.server.credentialsSecretRef.name=a"),
        ("credentialsSecretRef.name", "accountBackend.create=true,controller.ownerId=a,accountBackend.server.url=https://a"),
        (
            "there is none in this release",
            "accountBackend.create=true,controller.ownerId=a,accountBackend.server.credentialsSecretRef.name=a",
        ),
        (
            "plain HTTP",
            "accountBackend.create=true,controller.ownerId=a,accountBackend.server.credentialsSecretRef.name=a,\
             server.enabled=true,server.insecurePlainHttp=true",
        ),
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

/// The rights to make its own Lease and to hold it, and to no other; who installs makes none, for `GitOps` tools leave Leases alone.
fn leads_by_its_lease(rendered: &[Value]) {
    let lease = "deskplane-controller-lease";
    assert!(rendered.iter().all(|object| object["kind"] != "Lease"));
    let rules = json!([
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["deskplane-controller"], "verbs": ["get", "update"]},
    ]);
    assert_eq!(named(rendered, "Role", lease)["rules"], rules);
    assert_eq!(named(rendered, "RoleBinding", lease)["roleRef"]["name"], lease);
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

/// The object of a kind and a name.
fn named<'a>(rendered: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = rendered.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

#[test]
fn the_program_takes_the_arguments_of_every_pod() {
    for values in matrix() {
        let rendered = objects(&render("chat", &["--values", &values]));
        let pods = rendered.iter().filter_map(|object| match object["kind"].as_str() {
            Some("Deployment") => Some(&object["spec"]["template"]["spec"]),
            Some("Pod") => Some(&object["spec"]),
            _ => None,
        });
        for pod in pods {
            let args = pod["containers"][0]["args"].as_array().expect("arguments");
            let args = args.iter().map(|arg| arg.as_str().unwrap_or_else(|| panic!("{arg} is no string")));
            let parsed = Cli::try_parse_from(["deskplane"].into_iter().chain(args));
            assert!(parsed.is_ok(), "{values}: {}", parsed.unwrap_err());
        }
    }
}

#[test]
fn a_server_on_a_file_is_one_with_a_certificate_and_a_volume_and_no_rights() {
    let rendered = objects(&render("chat", &["--values", &format!("{CHART}/ci/server-sqlite-values.yaml")]));
    let spec = &named(&rendered, "Deployment", "deskplane-server")["spec"];
    assert_eq!((spec["replicas"].as_i64(), spec["strategy"]["type"].as_str()), (Some(1), Some("Recreate")));
    let pod = &spec["template"]["spec"];
    assert_eq!((&pod["serviceAccountName"], &pod["automountServiceAccountToken"]), (&"deskplane-server".into(), &false.into()));
    assert_eq!(named(&rendered, "ServiceAccount", "deskplane-server")["automountServiceAccountToken"], false);
    let bound = rendered.iter().any(|object| !object["subjects"].is_null() && object["subjects"].to_string().contains("deskplane-server"));
    assert!(!bound, "the server has no rights");
    let container = &pod["containers"][0];
    // In the environment: `deskplane server token` finds it, too.
    assert_eq!(container["env"][0], json!({"name": "DESKPLANE_DATABASE", "value": "sqlite:///data/deskplane.db"}));
    let args = container["args"].to_string();
    assert!(args.contains("--tls-cert=") && args.contains("--tls-key=") && !args.contains("plain"), "{args}");
    assert_eq!(pod["volumes"][0]["persistentVolumeClaim"]["claimName"], "deskplane-server-data");
    named(&rendered, "PersistentVolumeClaim", "deskplane-server-data");
    assert_eq!(pod["volumes"][1]["secret"]["secretName"], "accounts-tls");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["scheme"], "HTTPS", "{probe}");
    }
    let annotations = &spec["template"]["metadata"]["annotations"];
    assert_eq!((&annotations["prometheus.io/port"], &annotations["prometheus.io/scheme"]), (&"8443".into(), &"https".into()));
    assert_eq!(container["lifecycle"], Value::Null, "nobody takes over: it ends at once");
    let service = &named(&rendered, "Service", "deskplane-server")["spec"];
    assert_eq!((&service["ports"][0]["port"], &service["ports"][0]["targetPort"]), (&443.into(), &"https".into()));
    // Each Service leads to its own pods.
    let labels = |name: &str| named(&rendered, "Deployment", name)["spec"]["template"]["metadata"]["labels"].clone();
    assert_eq!(service["selector"], labels("deskplane-server"));
    assert_eq!(named(&rendered, "Service", "deskplane-metrics")["spec"]["selector"], labels("deskplane"));
    let backend = only(&rendered, "AccountBackend");
    assert_eq!(backend["metadata"]["name"], "accounts");
    let server = json!({"url": "https://deskplane-server.chat.svc", "credentialsSecretRef": {"name": "accounts-token"}});
    assert_eq!(backend["spec"], json!({"server": server}));
}

#[test]
fn servers_on_postgres_are_several_and_leave_their_service_before_they_end() {
    let rendered = objects(&render("chat", &["--values", &format!("{CHART}/ci/server-postgres-values.yaml")]));
    let spec = &named(&rendered, "Deployment", "deskplane-server")["spec"];
    assert_eq!((spec["replicas"].as_i64(), spec["strategy"]["type"].as_str()), (Some(3), Some("RollingUpdate")));
    let pod = &spec["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["env"][0]["valueFrom"]["secretKeyRef"]["name"], "accounts-database");
    assert_eq!(container["env"][1]["name"], "PGSSLROOTCERT");
    assert_eq!((pod["volumes"].as_array().map(Vec::len), &pod["volumes"][0]["secret"]["secretName"]), (Some(1), &"database-ca".into()));
    let args = container["args"].to_string();
    assert!(args.contains("--insecure-plain-http") && !args.contains("--tls"), "{args}");
    assert_eq!(container["readinessProbe"]["httpGet"]["scheme"], "HTTP");
    assert_eq!((&container["lifecycle"]["preStop"]["sleep"]["seconds"], &pod["terminationGracePeriodSeconds"]), (&5.into(), &30.into()));
    // The controller beside them is as it is without.
    let without = objects(&render("chat", &[]));
    assert_eq!(named(&rendered, "Deployment", "deskplane"), only(&without, "Deployment"));
    assert_eq!(without.iter().filter(|object| object["metadata"]["name"].to_string().contains("server")).count(), 0);
}

#[test]
fn of_several_pods_one_at_a_time_may_be_taken_away() {
    let budgets = |args: &[&str]| {
        let rendered = objects(&render("chat", args));
        let found = rendered.iter().filter(|object| object["kind"] == "PodDisruptionBudget");
        found.map(|budget| (budget["metadata"]["name"].clone(), budget["spec"].clone())).collect::<Vec<_>>()
    };
    let expected = |component: &str| {
        let labels = json!({
            "app.kubernetes.io/name": "deskplane", "app.kubernetes.io/instance": "deskplane", "app.kubernetes.io/component": component
        });
        json!({"maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow", "selector": {"matchLabels": labels}})
    };
    let several = ["--values", &format!("{CHART}/ci/servers-values.yaml")];
    assert_eq!(budgets(&several), [("deskplane".into(), expected("controller"))]);
    assert!(budgets(&[several[0], several[1], "--set", "controller.podDisruptionBudget=false"]).is_empty());
    // Three servers beside one controller.
    let servers = ["--values", &format!("{CHART}/ci/server-postgres-values.yaml")];
    assert_eq!(budgets(&servers), [("deskplane-server".into(), expected("server"))]);
    assert!(budgets(&[]).is_empty(), "one pod, which nothing may hold back");
}

#[test]
fn helm_test_asks_the_server_as_its_clients_do() {
    let rendered = objects(&render("chat", &["--values", &format!("{CHART}/ci/server-sqlite-values.yaml")]));
    let spec = &named(&rendered, "Pod", "deskplane-server-test")["spec"];
    let container = &spec["containers"][0];
    assert_eq!(container["args"], json!(["server", "check", "https://deskplane-server.chat.svc"]));
    let authority = json!({"secretKeyRef": {"name": "accounts-tls", "key": "ca.crt", "optional": true}});
    assert_eq!(container["env"], json!([{"name": "DESKPLANE_CA_BUNDLE", "valueFrom": authority}]));
    assert_eq!((&spec["serviceAccountName"], &spec["automountServiceAccountToken"]), (&"deskplane-server".into(), &false.into()));
    let without = objects(&render("chat", &[]));
    assert_eq!(only(&without, "Pod")["metadata"]["name"], "deskplane-test");
}

#[test]
fn the_account_backend_of_a_server_says_all_that_is_set() {
    let rendered = objects(&render("chat", &["--values", &format!("{CHART}/ci/everything-values.yaml")]));
    let spec = &only(&rendered, "AccountBackend")["spec"];
    assert_eq!((&spec["server"]["url"], &spec["rateLimit"]["burst"]), (&"https://accounts.example:8443".into(), &200.into()));
    let bundle = spec["server"]["caBundle"].as_str().expect("certificates");
    assert!(bundle.starts_with("-----BEGIN CERTIFICATE-----\n") && bundle.ends_with("-----END CERTIFICATE-----\n"), "{bundle}");
    let embedded = objects(&render("chat", &["--set", "accountBackend.create=true"]));
    assert_eq!(only(&embedded, "AccountBackend")["spec"], json!({"embedded": {}}));
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
    let secrets = |objects: &[Value]| named(objects, "Role", "deskplane-secrets")["rules"].clone();
    let with_servers = objects(&render("chat", &["--set", "controller.ownerId=one"]));
    assert_eq!(secrets(&with_servers), secrets(&manifest));
    assert!(chart.iter().all(|object| object["metadata"]["name"] != "deskplane-secrets"), "no server is asked without an owner id");
    let namespaced: Vec<_> = with_servers.iter().filter(|object| object["kind"] == "RoleBinding").collect();
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
    let server = notes(&["--set", "server.enabled=true,server.tls.secretName=accounts-tls,database.none=true,controller.ownerId=c1"]);
    for line in [
        "kubectl rollout status deployment/deskplane-server -n chat",
        "kubectl exec deployment/deskplane-server -n chat -- /deskplane server token create --scope admin --description controller |",
        "kubectl create secret generic accounts-token -n chat --from-file=token=/dev/stdin",
        "url: https://deskplane-server.chat.svc\n    credentialsSecretRef: {name: accounts-token}\n    caBundle: |\n",
        "backendRef: {name: accounts}",
        "the claim deskplane-server-data with all accounts of the server",
    ] {
        assert!(server.contains(line), "{line}: {server}");
    }
    assert!(!server.contains("helm upgrade") && !server.contains("the claim deskplane-data"), "{server}");
    let plain_http = notes(&["--values", &format!("{CHART}/ci/server-postgres-values.yaml")]);
    for line in ["before http://deskplane-server.chat.svc:\n", "--set controller.ownerId=\"$(kubectl get namespace kube-system"] {
        assert!(plain_http.contains(line), "{line}: {plain_http}");
    }
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

/// The schema of values, each reference replaced by what it refers to: controller and server share parts.
fn schema() -> Value {
    let mut schema: Value = serde_json::from_str(&read(&format!("{CHART}/values.schema.json"))).expect("JSON");
    let definitions = schema["definitions"].take();
    resolve(&mut schema, &definitions);
    schema
}

fn resolve(schema: &mut Value, definitions: &Value) {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/definitions/")) {
        *schema = definitions[name].clone();
    }
    for property in schema["properties"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        if property.is_object() {
            resolve(property, definitions);
        }
    }
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
    let schema = schema();
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
