//! Bad input is refused where it is typed, with a message that names the field and says what to write; good input is not.

use serde_json::{Value, json};

use crate::controlplane::ControlPlane;
use crate::crds_objects::{api, dry_run, full, full_server, object, refusal, with};

struct Input {
    client: kube::Client,
}

impl Input {
    async fn new() -> Self {
        Self { client: ControlPlane::unattended().await.client().await }
    }

    async fn create(&self, kind: &str, path: &str, value: &Value) -> Result<(), kube::Error> {
        let of_server = ["server", "rateLimit"].iter().any(|field| path.starts_with(field));
        let spec = if of_server { full_server() } else { full(kind) };
        let object = object(kind, "input", with(spec, path, value.clone()));
        api(&self.client, kind, "default").create(&dry_run(), &object).await.map(drop)
    }

    /// Each value, put into an otherwise valid object, is refused, and the message holds the field's path and the hint.
    async fn refuses(&self, kind: &str, path: &str, hint: &str, values: impl IntoIterator<Item = Value>) {
        for value in values {
            let shown: String = value.to_string().chars().take(80).collect();
            let message = match self.create(kind, path, &value).await {
                Ok(()) => panic!("{kind} spec.{path}: {shown} is accepted"),
                error => refusal(error),
            };
            assert!(message.contains(&format!("spec.{path}")), "{shown}: {message}");
            assert!(message.contains(hint), "{shown}: {message}");
            assert!(message.len() < 4096, "{shown}: a message of {} bytes", message.len());
        }
    }

    async fn accepts(&self, kind: &str, path: &str, values: impl IntoIterator<Item = Value>) {
        for value in values {
            self.create(kind, path, &value).await.unwrap_or_else(|error| panic!("{kind} spec.{path}: {value}: {error}"));
        }
    }
}

fn texts<const N: usize>(values: [&str; N]) -> Vec<Value> {
    values.iter().map(|value| json!(value)).collect()
}

fn megabyte() -> Value {
    json!("x".repeat(1 << 20))
}

#[tokio::test]
async fn every_field_there_is_is_accepted() {
    let input = Input::new().await;
    for kind in crate::crds_objects::KINDS {
        input.create(kind, "nothing", &Value::Null).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
}

#[tokio::test]
async fn servers() {
    const KIND: &str = "AccountBackend";
    let input = Input::new().await;
    input.accepts(KIND, "server.nothing", [Value::Null]).await;
    let bad = texts([
        "",
        "accounts.example",
        "http://accounts.example",
        "http://10.0.0.1:8443",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://[::2]",
        "https://accounts.example/",
        "https://accounts.example/?a=b",
        "https://accounts.example#x",
        "https://user:password@accounts.example",
        "https://Accounts.example",
        "https://accounts.example:0",
        "https://accounts.example\n",
        " https://accounts.example",
        "https://",
        "file:///var/run/accounts.sock",
    ]);
    input.refuses(KIND, "server.url", "such as https://accounts.example (http:// only for localhost", bad).await;
    input
        .refuses(KIND, "server.url", "may not be more than 512", [json!(format!("https://{}.example", "a".repeat(512))), megabyte()])
        .await;
    let good = texts([
        "https://accounts.example",
        "https://accounts.example:8443/deskplane",
        "https://10.0.0.1:8443",
        "https://[2001:db8::1]:8443",
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
    ]);
    input.accepts(KIND, "server.url", good).await;

    let pem = |what: &str, body: &str| format!("-----BEGIN {what}-----\n{body}\n-----END {what}-----\n");
    let certificate = pem("CERTIFICATE", "MIIB");
    let bad = texts(["", "MIIB", "-----BEGIN CERTIFICATE-----", "/etc/ssl/ca.crt"]);
    input.refuses(KIND, "server.caBundle", "certificates in PEM", bad).await;
    let key =
        [json!(format!("{certificate}{}", pem("PRIVATE KEY", "MIIB"))), json!(format!("{certificate}{}", pem("RSA PRIVATE KEY", "MIIB")))];
    input.refuses(KIND, "server.caBundle", "must not hold a private key", key).await;
    input
        .refuses(KIND, "server.caBundle", "may not be more than 65536", [json!(pem("CERTIFICATE", &"A".repeat(65_536))), megabyte()])
        .await;
    let largest = pem("CERTIFICATE", &"A".repeat(65_536 - pem("CERTIFICATE", "").len()));
    let good = [json!(format!("# our own authority\n{certificate}{certificate}")), json!(largest), Value::Null];
    input.accepts(KIND, "server.caBundle", good).await;

    let bad = texts(["", "Token", "other/token", "token ", "../token"]);
    input.refuses(KIND, "server.credentialsSecretRef.name", "a Secret in the controller's namespace and nothing else", bad).await;
    input.refuses(KIND, "server.credentialsSecretRef", "Required value", [Value::Null, json!({})]).await;
    input.refuses(KIND, "server.url", "Required value", [Value::Null]).await;
    for path in ["rateLimit.requestsPerSecond", "rateLimit.burst"] {
        input.refuses(KIND, path, "greater than or equal to 1", [json!(0), json!(-1)]).await;
        input.refuses(KIND, path, "less than or equal to 100000", [json!(100_001), json!(i32::MAX)]).await;
        input.refuses(KIND, path, "must be of type", [json!("200"), json!(1.5)]).await;
        input.refuses(KIND, path, "Required value", [Value::Null]).await;
        input.accepts(KIND, path, [json!(1), json!(100_000)]).await;
    }
    input.accepts(KIND, "rateLimit", [Value::Null]).await;
}

#[tokio::test]
async fn emails() {
    let input = Input::new().await;
    let bad = texts([
        "",
        "tom",
        "tom@",
        "@acme.example",
        "tom@acme",
        "tom tester@acme.example",
        " tom@acme.example",
        "tom@acme.example ",
        "tom@acme.example\n",
        "tom@acme.example,eve@acme.example",
        "Tom <tom@acme.example>",
        "tom\u{0}@acme.example",
        "tom@@acme.example",
        "tom@acme..example",
        "tom@-acme.example",
        "\u{202e}tom@acme.example",
        ".tom@acme.example",
        "tom@acme.example.",
    ]);
    let good = texts([
        "tom@acme.example",
        "TOM@Acme.Example",
        "tom.tester+chat@mail.acme.example",
        "o'hara@acme.example",
        "müller@bücher.example",
        "用户@例子.example",
        "1@2.example",
    ]);
    for (kind, path) in [("Operator", "email"), ("Account", "owner.email"), ("Organization", "firstOperator.email")] {
        input.refuses(kind, path, "such as ada@acme.example", bad.clone()).await;
        input.refuses(kind, path, "may not be more than 254", [megabyte(), json!(format!("{}@acme.example", "t".repeat(242)))]).await;
        input.accepts(kind, path, good.clone()).await;
        input.accepts(kind, path, [json!(format!("{}@acme.example", "t".repeat(241)))]).await;
    }
}

#[tokio::test]
async fn names_people_see() {
    let input = Input::new().await;
    let fields = [
        ("Plan", "displayName"),
        ("Account", "owner.displayName"),
        ("Account", "defaultOrganization.displayName"),
        ("Organization", "displayName"),
        ("Organization", "firstOperator.displayName"),
        ("Operator", "displayName"),
        ("Operator", "nickname"),
        ("Department", "displayName"),
        ("Widget", "displayName"),
    ];
    let unsafe_text =
        texts(["Tom\u{7}", "Tom\nTester", "Tom\u{0}", "Tom\u{85}Tester", "\u{202e}moT", "T\u{200f}om", "T\u{2066}om", "T\u{2028}om"]);
    for (kind, path) in fields {
        input.refuses(kind, path, "must not hold control characters", unsafe_text.clone()).await;
        input.refuses(kind, path, "must not be empty, nor begin or end with a space", texts(["", " ", " Tom", "Tom ", "Tom\u{a0}"])).await;
        input.refuses(kind, path, "may not be more than 200", [megabyte(), json!("é".repeat(201))]).await;
        input.accepts(kind, path, texts(["T", "Zoë O'Hara-Łuk (Ops)", "李雷", "محمد", "👩\u{200d}💻", "می\u{200c}خواهم"])).await;
        input.accepts(kind, path, [json!("é".repeat(200)), json!("👍".repeat(200))]).await;
    }
}

#[tokio::test]
async fn languages_countries_and_time_zones() {
    let input = Input::new().await;
    for (kind, path) in [("Organization", "language"), ("Account", "defaultOrganization.language"), ("Widget", "language")] {
        let bad = texts(["", "english", "e", "en_US", "de-", "-de", "de DE", "123", "de-toolongsubtag"]);
        input.refuses(kind, path, "BCP 47 tag such as en, de or pt-BR", bad).await;
        input.refuses(kind, path, "must be of type string", [json!(false)]).await;
        let good =
            texts(["en", "de", "no", "fil", "pt-BR", "zh-Hant-TW", "es-419", "sl-rozaj", "de-DE-1996", "en-x-internal", "zh-cmn-Hans"]);
        input.accepts(kind, path, good).await;
    }
    for (kind, prefix) in [("Organization", ""), ("Account", "defaultOrganization.")] {
        let (country, zone) = (format!("{prefix}location.country"), format!("{prefix}location.timeZone"));
        input.refuses(kind, &country, "alpha-2 code in capitals", texts(["", "UK", "de", "DEU", "Germany", "XX", "D1"])).await;
        input.accepts(kind, &country, texts(["DE", "GB", "US", "NO", "ZW", "AQ"])).await;
        let bad = texts(["", "Europe/", "/Berlin", "+02:00", "Europe/Ber lin", "../etc/passwd", "Europe//Berlin", "Europe/Berlin\n"]);
        input.refuses(kind, &zone, "such as Europe/Berlin or UTC", bad).await;
        let good = texts(["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "America/Port-au-Prince"]);
        input.accepts(kind, &zone, good).await;
    }
}

#[tokio::test]
async fn origins_and_colours() {
    let input = Input::new().await;
    let lists = [
        "*",
        "https://*",
        "https://*.acme.example",
        "*://acme.example",
        "ftp://acme.example",
        "acme.example",
        "https://acme.example/",
        "https://acme.example/chat",
        "https://user@acme.example",
        "https://acme.example?x=1",
        "https://acme.example#x",
        "https://",
        "https://acme.example:0",
        "https://acme.example:99999",
        "https://Acme.example",
        "https://bücher.example",
        "javascript:alert(1)",
        "https://acme.example\n",
        "null",
        "",
    ];
    for bad in lists {
        let list = [json!(["https://good.example", bad])];
        input.refuses("Widget", "allowedOrigins", "no path, no slash at the end, no wildcard", list).await;
    }
    let good = [
        "https://www.acme.example",
        "http://localhost:8080",
        "https://10.0.0.1:8443",
        "https://[2001:db8::1]:443",
        "https://xn--bcher-kva.example",
    ];
    input.accepts("Widget", "allowedOrigins", [json!(good), json!([])]).await;
    let many = |count: usize| json!((0..count).map(|n| format!("https://{n}.example")).collect::<Vec<_>>());
    input.accepts("Widget", "allowedOrigins", [many(64)]).await;
    input.refuses("Widget", "allowedOrigins", "must have at most 64 items", [many(65)]).await;
    input.refuses("Widget", "allowedOrigins", "Duplicate value", [json!(["https://a.example", "https://a.example"])]).await;
    let bad = texts(["", "red", "#fff", "0b7285", "#0b728g", "#0b72855", "rgb(1, 2, 3)"]);
    input.refuses("Widget", "theme.color", "#rrggbb", bad).await;
    input.accepts("Widget", "theme.color", texts(["#0b7285", "#FFFFFF"])).await;
}

#[tokio::test]
async fn numbers() {
    let input = Input::new().await;
    for (path, least) in [("limits.seats", 1), ("limits.organizations", 1), ("limits.widgets", 0)] {
        let at_least = format!("greater than or equal to {least}");
        input.refuses("Plan", path, &at_least, [json!(least - 1), json!(-1), json!(i64::MIN)]).await;
        input.refuses("Plan", path, "less than or equal to 1000000", [json!(1_000_001), json!(i64::MAX)]).await;
        input.refuses("Plan", path, "must be of type", [json!("5"), json!(1.5), json!(1e300)]).await;
        input.accepts("Plan", path, [json!(least), json!(1_000_000)]).await;
    }
    for (kind, path) in [("Organization", "privacy"), ("Account", "defaultOrganization.privacy")] {
        let days = format!("{path}.transcriptRetentionDays");
        input.refuses(kind, &days, "greater than or equal to 1", [json!(0), json!(-1)]).await;
        input.refuses(kind, &days, "less than or equal to 3650", [json!(3651), json!(i32::MAX)]).await;
        input.refuses(kind, &days, "must be of type", [json!("90"), json!(1.5), json!(true)]).await;
        input.accepts(kind, &days, [json!(1), json!(3650), Value::Null]).await;
        for flag in ["storeTranscripts", "anonymizeVisitors"] {
            input.refuses(kind, &format!("{path}.{flag}"), "must be of type boolean", [json!("true"), json!(1), json!({})]).await;
            input.accepts(kind, &format!("{path}.{flag}"), [json!(true), json!(false), Value::Null]).await;
        }
        input.accepts(kind, path, [json!({}), Value::Null]).await;
    }
    input.refuses("Operator", "switchOrganizations", "must be of type boolean", [json!("true"), json!(1)]).await;
    for kind in ["Operator", "Department"] {
        input.refuses(kind, "position", "equal to 1000000", [json!(1_000_001), json!(i32::MAX)]).await;
        input.refuses(kind, "position", "equal to -1000000", [json!(-1_000_001)]).await;
        input.accepts(kind, "position", [json!(0), json!(-1_000_000), json!(1_000_000)]).await;
    }
}

#[tokio::test]
async fn words() {
    let input = Input::new().await;
    input.refuses("Operator", "role", "\"Manager\", \"Supervisor\", \"Agent\"", texts(["", "manager", "Owner"])).await;
    input.refuses("Operator", "credentials.mode", "\"Generate\", \"None\"", texts(["", "Reuse"])).await;
    input.refuses("Organization", "starterKit", "\"Create\", \"None\"", texts(["", "create"])).await;
    input.refuses("Operator", "credentials.secretName", "valid name of a Secret", texts(["", "Tom", "a/b", "a b", "../x"])).await;
    let backend = |path: &'static str, hint: &'static str, bad: Vec<Value>| input.refuses("AccountBackend", path, hint, bad);
    backend("controllerName", "such as deskplane.dev/controller", texts(["", "controller", "deskplane.dev/", "/controller", "a b/c"]))
        .await;
    let bad =
        texts(["", "chat.example", "https://chat.example/", "https://chat.example?a=b", "https://u:p@chat.example", "file:///etc/passwd"]);
    backend("publicURL", "such as https://chat.example", bad).await;
    let bad = texts(["", "10", "9s", "25h", "-10m", "1d", "10 m", "ten minutes", "99999h", "1.5h"]);
    backend("resyncInterval", "from 10s to 24h", bad).await;
    input.accepts("AccountBackend", "resyncInterval", texts(["10s", "24h", "10m", "1h30m", "90s", "23h59m60s"])).await;
    let good = texts(["https://chat.example", "http://localhost:8080", "https://example.com/chat/v2"]);
    input.accepts("AccountBackend", "publicURL", good).await;
}

#[tokio::test]
async fn references() {
    let input = Input::new().await;
    let bad = texts(["", "Acme", "chat/acme", "acme ", "acme/../beta", "-acme"]);
    for (kind, path) in [("Account", "planRef"), ("Account", "backendRef"), ("Organization", "accountRef"), ("Operator", "organizationRef")]
    {
        input.refuses(kind, &format!("{path}.name"), "a reference never leaves its namespace", bad.clone()).await;
        input.refuses(kind, path, "Required value", [Value::Null, json!({})]).await;
        input.accepts(kind, path, [json!({ "name": "a.b-c" }), json!({ "name": "n".repeat(253) })]).await;
    }
    let named = |count: usize| json!((0..count).map(|n| json!({ "name": format!("o-{n}") })).collect::<Vec<_>>());
    input.accepts("Department", "members.operators", [named(1000), json!([])]).await;
    input.refuses("Department", "members.operators", "must have at most 1000 items", [named(1001)]).await;
    input.refuses("Department", "members.operators", "Duplicate value", [json!([{ "name": "tom" }, { "name": "tom" }])]).await;
}

#[tokio::test]
async fn label_selectors() {
    let input = Input::new().await;
    let long = "v".repeat(64);
    for (kind, path) in [("Department", "members.selector"), ("AccountBackend", "allowedNamespaces")] {
        let expression =
            |operator: &str, values: Value| json!({ "matchExpressions": [{ "key": "k", "operator": operator, "values": values }] });
        let bad = [expression("In", json!([])), expression("NotIn", json!([])), expression("Exists", json!(["v"]))];
        input.refuses(kind, path, "In and NotIn need values", bad).await;
        let bad = [json!({ "matchLabels": { "k": "a b" } }), json!({ "matchLabels": { "a b": "v" } }), expression("In", json!(["a/b"]))];
        input.refuses(kind, path, "label values are letters", bad).await;
        input.refuses(kind, path, "Unsupported value", [expression("Gt", json!(["1"]))]).await;
        input
            .refuses(kind, path, "may not be more than 63", [json!({ "matchLabels": { "k": long } }), expression("In", json!([long]))])
            .await;
        let labels: serde_json::Map<_, _> = (0..17).map(|n| (format!("k{n}"), json!("v"))).collect();
        input.refuses(kind, path, "at most 16", [json!({ "matchLabels": labels })]).await;
        let good = [json!({}), json!({ "matchLabels": { "example.com/team": "", "shift": "early" } }), expression("NotIn", json!(["a"]))];
        input.accepts(kind, path, good).await;
    }
}
