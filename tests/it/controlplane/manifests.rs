//! Installs `crds/` (the kinds and the admission policies) and waits until all of it is in force.

use std::path::Path;

use super::{ControlPlane, DEADLINE, try_eventually};

/// An object like a person would create it, to see whether the policies act yet.
const PROBE: &str = r"
apiVersion: deskplane.dev/v1alpha1
kind: Organization
metadata: {name: probe, namespace: default, annotations: {ANNOTATIONS}}
spec: {accountRef: {name: probe}, firstOperator: {email: probe@deskplane.example, displayName: Probe}}
";

pub(super) async fn install(plane: &ControlPlane, accept: impl Fn(&str) -> bool) -> Result<(), String> {
    let files = files(&accept);
    if files.is_empty() {
        return Ok(());
    }
    let mut apply = vec!["apply", "--server-side"];
    apply.extend(files.iter().flat_map(|file| ["-f", file]));
    run(plane, &apply)?;
    run(plane, &["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
    let installed = |policy: &str| files.iter().any(|file| file.ends_with(policy));
    // The API server loads each sort of policy about once a second.
    if installed("policy-finalizer-at-birth.yaml") {
        let probe = PROBE.replace("ANNOTATIONS", "");
        wait_for(plane, "the finalizer comes at birth", &probe, |created, output| created && output.contains("deskplane.dev/erase"))
            .await?;
    }
    if installed("policy-deletion.yaml") {
        let probe = PROBE.replace("ANNOTATIONS", "deskplane.dev/confirm-deletion: probe");
        wait_for(plane, "a confirmation at creation is refused", &probe, |created, _| !created).await?;
    }
    Ok(())
}

fn files(accept: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let entries = folder.read_dir().into_iter().flatten().filter_map(Result::ok);
    let mut files: Vec<_> = entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.ends_with(".yaml") && accept(&name)
        })
        .map(|entry| entry.path().to_string_lossy().into_owned())
        .collect();
    files.sort();
    files
}

fn run(plane: &ControlPlane, args: &[&str]) -> Result<(), String> {
    let output = plane.kubectl(args);
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Until a dry run of the probe ends as it should: `fits(created, output)`.
async fn wait_for(plane: &ControlPlane, what: &str, probe: &str, fits: impl Fn(bool, &str) -> bool) -> Result<(), String> {
    try_eventually(what, DEADLINE, async || {
        let output = plane.kubectl_with(&["create", "--dry-run=server", "-o", "json", "-f", "-"], probe);
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if fits(output.status.success(), &text) { Ok(()) } else { Err(text) }
    })
    .await
}
