//! What the README and the examples promise by name exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use deskplane::api::condition::{Reason, Standing};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_reason_is_explained_and_no_other() {
    let readme = text("README.md");
    let (_, table) = readme.split_once("| reason |").expect("the table of reasons");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let explained: BTreeSet<String> = rows.map(|row| row.split('|').take(3).map(str::trim).collect::<Vec<_>>().join("|")).collect();
    let expected: BTreeSet<String> = Reason::ALL
        .iter()
        .map(|reason| {
            let standing = match reason.standing() {
                Standing::Ready => "Ready",
                Standing::Reconciling => "Reconciling",
                Standing::Stalled => "Stalled",
            };
            format!("|`{}`|{standing}", reason.as_str())
        })
        .collect();
    assert_eq!(explained, expected);
}

#[test]
fn every_kind_is_in_the_table_with_its_short_name_and_scope() {
    let readme = text("README.md");
    for crd in deskplane::api::crds() {
        let (kind, short) = (&crd.spec.names.kind, &crd.spec.names.short_names.as_ref().unwrap()[0]);
        let scope = if crd.spec.scope == "Cluster" { "cluster" } else { "namespace" };
        let row = format!("| {kind} | `{short}` | {scope} |");
        assert!(readme.contains(&row), "{row}");
    }
}

#[test]
fn every_target_script_and_folder_that_is_named_exists() {
    let (readme, makefile) = (text("README.md"), text("Makefile"));
    for word in readme.split(|c: char| c.is_whitespace() || "`()>;".contains(c)) {
        if ["hack/", "examples/", "charts/"].iter().any(|start| word.starts_with(start)) {
            assert!(root().join(word).exists(), "{word}");
        }
    }
    for target in readme
        .split("make ")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')).next())
    {
        assert!(makefile.contains(&format!("\n{target}:")), "make {target}");
    }
}

#[test]
fn the_rights_of_the_controller_name_every_kind() {
    let rules = text("hack/rbac.yaml");
    for crd in deskplane::api::crds() {
        let plural = &crd.spec.names.plural;
        assert!(rules.contains(&format!("- {plural}/status")), "{plural}/status");
    }
}

/// Who applies several examples gets one backend, whatever the order.
#[test]
fn all_examples_bring_the_same_backend_and_plans_of_their_own() {
    let mut backends = Vec::new();
    let mut plans = Vec::new();
    for file in example_files() {
        for document in serde_yaml::Deserializer::from_str(&std::fs::read_to_string(&file).unwrap()) {
            let object: serde_json::Value =
                serde::Deserialize::deserialize(document).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            match object["kind"].as_str() {
                Some("AccountBackend") => backends.push(object),
                Some("Plan") => plans.push(object["metadata"]["name"].to_string()),
                _ => {}
            }
        }
    }
    assert_eq!(backends.len(), 3);
    assert!(backends.iter().all(|backend| *backend == backends[0]));
    assert_eq!(plans.iter().collect::<BTreeSet<_>>().len(), plans.len(), "{plans:?}");
}

fn example_files() -> Vec<PathBuf> {
    let folders = root().join("examples").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let files = folders.filter(|path| path.is_dir()).flat_map(|folder| folder.read_dir().unwrap().map(|entry| entry.unwrap().path()));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

/// What knows departments for what they are, and not as one of the kinds.
const ABOUT_DEPARTMENTS: [&str; 8] = [
    "src/api/department.rs",
    "src/api/organization.rs",
    "src/controller/kinds/department.rs",
    "src/controller/kinds/organization.rs",
    "src/domain/availability.rs",
    "src/store/departments.rs",
    "src/store/founding.rs",
    "src/store/organizations.rs",
];

#[test]
fn the_recipe_for_a_new_kind_names_every_file_that_knows_the_kinds() {
    let readme = text("README.md");
    let (_, recipe) = readme.split_once("**A new kind**").expect("the recipe");
    let mut folders = vec![PathBuf::from("src")];
    let mut named = 0;
    while let Some(folder) = folders.pop() {
        for entry in root().join(&folder).read_dir().unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            let name = path.to_string_lossy().into_owned();
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !name.contains("tests")
                && !ABOUT_DEPARTMENTS.contains(&name.as_str())
            {
                let all = text(&name);
                let code = all.split("#[cfg(test)]").next().unwrap_or_default().lines().filter(|line| !line.trim().starts_with("//"));
                let knows = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
                if knows.into_iter().any(|word| ["Department", "department", "departments"].contains(&word)) {
                    let file = path.file_name().unwrap().to_string_lossy();
                    assert!(recipe.contains(&format!("{file}`")), "the recipe does not name {name}");
                    named += 1;
                }
            }
        }
    }
    assert!(named > 25, "{named}");
    for word in recipe.split('`').skip(1).step_by(2).filter(|word| word.starts_with("src/") || word.starts_with("tests/")) {
        assert!(root().join(word).exists(), "{word}");
    }
}
