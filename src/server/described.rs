//! The bounds of [`super::bounds`], as the document at /openapi.json says them.

use std::collections::BTreeMap;

use utoipa::Number;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayItems, Object, Schema};

use crate::domain::transcript::RETENTION_DAYS;

use super::bounds::{COLOR, DISPLAY_NAME, EMAIL, HASH, LANGUAGE, LIMIT, NAME, ORIGIN, ORIGINS, PLACE, POSITION};

/// What a client's key, and an id of the store's, is made of.
pub(super) const KEY: &str = "^[A-Za-z0-9._:-]*[A-Za-z0-9_:-][A-Za-z0-9._:-]*$";

/// Without control characters.
const PRINTABLE: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";

/// The same, and something in it.
const FILLED: &str = r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$";

const ADDRESS: &str = r"^[^\s\u0000-\u001f\u007f-\u009f]+@[^\s@\u0000-\u001f\u007f-\u009f]+$";

/// Texts that may be empty: their schema, the property, the longest.
const TEXTS: [(&str, &str, usize); 10] = [
    ("DesiredAccount", "ownerDisplayName", DISPLAY_NAME),
    ("DesiredOrganization", "displayName", DISPLAY_NAME),
    ("DesiredOrganization", "language", LANGUAGE),
    ("DesiredOrganization", "country", PLACE),
    ("DesiredOrganization", "timeZone", PLACE),
    ("DesiredOperator", "displayName", DISPLAY_NAME),
    ("DesiredOperator", "nickname", DISPLAY_NAME),
    ("DesiredWidget", "displayName", DISPLAY_NAME),
    ("DesiredWidget", "language", LANGUAGE),
    ("DesiredWidget", "color", COLOR),
];

/// Texts with something in them.
const FILLED_TEXTS: [(&str, &str, usize); 6] = [
    ("ObjectRef", "namespace", NAME),
    ("ObjectRef", "name", NAME),
    ("DesiredDepartment", "displayName", DISPLAY_NAME),
    ("CredentialIntent", "hash", HASH),
    ("CredentialIntent", "secretName", NAME),
    ("TakeEpoch", "owner", NAME),
];

const ADDRESSES: [(&str, &str); 2] = [("DesiredAccount", "ownerEmail"), ("DesiredOperator", "email")];

/// Numbers: the least and the most.
const NUMBERS: [(&str, &str, i64, i64); 6] = [
    ("Limits", "seats", 1, LIMIT),
    ("Limits", "organizations", 1, LIMIT),
    ("Limits", "widgets", 0, LIMIT),
    ("DesiredOperator", "position", -(POSITION as i64), POSITION as i64),
    ("DesiredDepartment", "position", -(POSITION as i64), POSITION as i64),
    ("Privacy", "retentionDays", *RETENTION_DAYS.start() as i64, *RETENTION_DAYS.end() as i64),
];

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Adds the bounds to the schemas.
pub(super) fn describe(schemas: &mut Schemas) {
    for (schema, property, longest) in TEXTS {
        text(object(schemas, schema).and_then(|object| inner(object, property)), PRINTABLE, 0, longest);
    }
    for (schema, property, longest) in FILLED_TEXTS {
        text(object(schemas, schema).and_then(|object| inner(object, property)), FILLED, 1, longest);
    }
    for (schema, property) in ADDRESSES {
        text(object(schemas, schema).and_then(|object| inner(object, property)), ADDRESS, 3, EMAIL);
    }
    for (schema, property, least, most) in NUMBERS {
        if let Some(number) = object(schemas, schema).and_then(|object| inner(object, property)) {
            (number.minimum, number.maximum) = (Some(whole(least)), Some(whole(most)));
        }
    }
    text(object(schemas, "Key"), KEY, 1, NAME);
    if let Some(RefOr::T(Schema::Array(origins))) =
        object(schemas, "DesiredWidget").and_then(|one| one.properties.get_mut("allowedOrigins"))
    {
        origins.max_items = Some(ORIGINS);
        if let ArrayItems::RefOrSchema(items) = &mut origins.items
            && let RefOr::T(Schema::Object(origin)) = items.as_mut()
        {
            text(Some(origin), FILLED, 1, ORIGIN);
        }
    }
    if let Some(RefOr::T(Schema::OneOf(outcomes))) = schemas.get_mut("CredentialOutcome") {
        for outcome in &mut outcomes.items {
            if let RefOr::T(Schema::Object(outcome)) = outcome {
                text(inner(outcome, "hash"), FILLED, 1, HASH);
            }
        }
    }
}

fn object<'a>(schemas: &'a mut Schemas, name: &str) -> Option<&'a mut Object> {
    match schemas.get_mut(name)? {
        RefOr::T(Schema::Object(object)) => Some(object),
        _ => None,
    }
}

fn inner<'a>(object: &'a mut Object, property: &str) -> Option<&'a mut Object> {
    match object.properties.get_mut(property)? {
        RefOr::T(Schema::Object(object)) => Some(object),
        _ => None,
    }
}

fn text(object: Option<&mut Object>, pattern: &str, shortest: usize, longest: usize) {
    let Some(object) = object else { return };
    object.pattern = Some(pattern.to_owned());
    (object.min_length, object.max_length) = (Some(shortest).filter(|&length| length > 0), Some(longest));
}

fn whole(number: i64) -> Number {
    // The bounds are far from what an `isize` cannot hold.
    Number::Int(isize::try_from(number).unwrap_or_default())
}
