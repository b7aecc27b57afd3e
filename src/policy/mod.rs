//! Admission policies, as data: rules that the API server itself enforces, without a webhook that could be down.
//!
//! They are YAML and not Rust types, because the oldest API server we support knows `MutatingAdmissionPolicy` only as an alpha
//! version. What they may assume of each other: nothing. Each can be left out, and the controller still holds what it must.

use std::fmt;

/// The user the controller runs as, unless `--controller-user` names another.
pub const DEFAULT_CONTROLLER_USER: &str = "system:serviceaccount:deskplane-system:deskplane";

/// The policies: name of the generated file, and text for the default controller user.
const POLICIES: [(&str, &str); 5] = [
    ("policy-authorization.yaml", include_str!("authorization.yaml")),
    ("policy-deletion.yaml", include_str!("deletion.yaml")),
    ("policy-finalizer-at-birth.yaml", include_str!("finalizer-at-birth.yaml")),
    ("policy-names.yaml", include_str!("names.yaml")),
    ("policy-secrets.yaml", include_str!("secrets.yaml")),
];

/// A user name that cannot be written into a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' cannot be the controller's user: it is empty, or holds quotes, backslashes, spaces or control characters", self.0.escape_debug())]
pub struct InvalidUser(String);

/// A file of policies: its name, and YAML documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFile {
    /// Name of the file, such as `policy-deletion.yaml`.
    pub name: &'static str,
    /// What is in it.
    pub yaml: String,
}

impl fmt::Display for PolicyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.yaml)
    }
}

/// All policies, for a controller that runs as this user.
pub fn policies(controller_user: &str) -> Result<Vec<PolicyFile>, InvalidUser> {
    // The name goes between single quotes of an expression inside YAML.
    let unfit = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '\'' | '"' | '\\');
    if controller_user.is_empty() || controller_user.contains(unfit) {
        return Err(InvalidUser(controller_user.to_owned()));
    }
    let file = |(name, yaml): (&'static str, &str)| PolicyFile { name, yaml: yaml.replace(DEFAULT_CONTROLLER_USER, controller_user) };
    Ok(POLICIES.map(file).into())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;
    use crate::api::names;

    fn documents(user: &str) -> Vec<Value> {
        let files = policies(user).unwrap();
        files
            .iter()
            .flat_map(|file| serde_yaml::Deserializer::from_str(&file.yaml).map(|document| Value::deserialize(document).unwrap()))
            .collect()
    }

    #[test]
    fn every_policy_has_a_binding_and_fails_closed() {
        let documents = documents(DEFAULT_CONTROLLER_USER);
        let (policies, bindings): (Vec<_>, Vec<_>) = documents.iter().partition(|document| document["spec"]["policyName"].is_null());
        assert_eq!(policies.len(), 13);
        for policy in &policies {
            assert_eq!(policy["spec"]["failurePolicy"], "Fail", "{}", policy["metadata"]["name"]);
            let kind = format!("{}Binding", policy["kind"].as_str().unwrap());
            let binding = bindings.iter().find(|binding| binding["spec"]["policyName"] == policy["metadata"]["name"]);
            assert_eq!(binding.expect("a binding")["kind"], kind.as_str());
        }
        assert_eq!(bindings.len(), policies.len());
    }

    #[test]
    fn no_policy_looks_at_subresources_or_at_everything() {
        for document in documents(DEFAULT_CONTROLLER_USER) {
            for rule in document["spec"]["matchConstraints"]["resourceRules"].as_array().into_iter().flatten() {
                for resource in rule["resources"].as_array().unwrap() {
                    let resource = resource.as_str().unwrap();
                    assert!(!resource.contains(['/', '*']), "{resource}");
                }
            }
        }
    }

    #[test]
    fn the_words_are_those_of_the_rest_of_the_program() {
        let all: String = policies("u").unwrap().iter().map(ToString::to_string).collect();
        for word in [
            names::ERASE_FINALIZER,
            names::IN_USE_FINALIZER,
            names::CONFIRM_DELETION,
            names::RELEASE,
            names::ACCEPT_STORE,
            names::CREDENTIALS_SECRET_TYPE,
            names::DEFAULT_CONTROLLER_NAME,
        ] {
            assert!(all.contains(word), "{word}");
        }
        let example = |text: &str| all.contains(&format!("\"{text}\""));
        assert!(example(&names::default_organization("<account>")));
        assert!(example(&names::first_operator("<organization>")));
        assert!(example(&names::credentials_secret("<operator>")));
        assert_eq!(names::credentials_secret(&"o".repeat(241)).len(), 253);
    }

    #[test]
    fn another_controller_user_takes_the_place_of_the_default() {
        let files = policies("system:serviceaccount:chat:our-deskplane").unwrap();
        let all: String = files.iter().map(ToString::to_string).collect();
        assert!(!all.contains(DEFAULT_CONTROLLER_USER));
        assert_eq!(all.matches("'system:serviceaccount:chat:our-deskplane'").count(), 8);
    }

    #[test]
    fn a_user_that_would_change_an_expression_is_refused() {
        for user in ["", "a'b", "a\"b", "a\\b", "a\nb", "a b"] {
            assert!(policies(user).is_err(), "{user:?}");
        }
        assert!(policies("jané@example.com").is_ok());
    }
}
