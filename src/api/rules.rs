//! Validation rules that several fields share.
//!
//! They are CEL, not `pattern`: a rule can say what is wrong and what to write instead, and the API server and a command line
//! without a cluster can both run it. Every rule sits on `spec` or below, never at the root of an object: there it could block
//! the removal of a finalizer.

use kube::core::{Reason, Rule};

/// Control characters, line and paragraph separators, and the marks that change the direction of the text around them: with
/// those a name can be shown as another one. Joiners (U+200C, U+200D) stay allowed: some scripts and emoji need them.
const UNSAFE_IN_NAMES: &str = r"\p{Cc}\x{061C}\x{200E}\x{200F}\x{2028}\x{2029}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}";

const HOST: &str = r"([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])";
const PORT: &str = "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))";
const OBJECT_NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
const LABEL_VALUE: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";

const LABEL_KEY: &str = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$";

/// ISO 3166-1 alpha-2, the officially assigned codes.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW \
    BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB \
    GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM \
    KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC \
    NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL \
    SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE \
    YT ZA ZM ZW";

/// A rule that the whole string matches a regular expression (RE2 syntax, without double quotes).
fn matches(expression: &str, message: &str) -> Rule {
    Rule::new(format!("self.matches(r\"{expression}\")")).message(message)
}

/// A field that keeps its first value.
pub(super) fn immutable(field: &str) -> Rule {
    let message = format!("{field} cannot be changed: delete the object and create it again");
    Rule::new("self == oldSelf").message(message.as_str())
}

/// An optional field that can be neither added nor removed. Goes on the parent: a rule on the field does not run when it is absent.
pub(super) fn fixed_presence(path: &str) -> Rule {
    let message = format!("{path} can be neither added nor removed: delete the object and create it again");
    Rule::new(format!("has(self.{path}) == has(oldSelf.{path})")).message(message.as_str()).reason(Reason::FieldValueInvalid)
}

/// The name of another object, without a namespace.
pub(super) fn object_name() -> Rule {
    matches(
        OBJECT_NAME,
        "name must be the metadata.name of an object and nothing else (small letters, digits, '-' and '.'): \
         a reference never leaves its namespace",
    )
}

/// The name of a Secret.
pub(super) fn secret_name() -> Rule {
    matches(OBJECT_NAME, "secretName must be a valid name of a Secret: small letters, digits, '-' and '.', such as tom-credentials")
}

/// A name people see. Two rules, so that each message fits.
pub(super) fn printable(field: &str) -> Rule {
    let message = format!("{field} must not hold control characters, line breaks or text-direction marks (such as U+202E): remove them");
    matches(&format!("^[^{UNSAFE_IN_NAMES}]*$"), &message)
}

/// See [`printable`].
pub(super) fn trimmed(field: &str) -> Rule {
    let message = format!("{field} must not be empty, nor begin or end with a space");
    matches(r"(?s)^[^\p{Z}](.*[^\p{Z}])?$", &message)
}

/// An e-mail address. Letters of any script: internationalized addresses exist.
pub(super) fn email() -> Rule {
    let atom = r"[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-]+";
    let label = r"[\p{L}\p{N}]([\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?";
    matches(
        &format!(r"^{atom}(\.{atom})*@({label}\.)+{label}$"),
        "email must be one e-mail address and nothing else, without spaces, such as ada@acme.example",
    )
}

/// A BCP 47 language tag (its syntax: the list of languages grows).
pub(super) fn language() -> Rule {
    let variant = "([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3})";
    let extension = "(-[0-9A-WY-Za-wy-z](-[A-Za-z0-9]{2,8})+)*(-[xX](-[A-Za-z0-9]{1,8})+)?";
    matches(
        &format!("^[A-Za-z]{{2,3}}(-[A-Za-z]{{3}}){{0,3}}(-[A-Za-z]{{4}})?(-([A-Za-z]{{2}}|[0-9]{{3}}))?(-{variant})*{extension}$"),
        "language must be a BCP 47 tag such as en, de or pt-BR (a hyphen, not an underscore)",
    )
}

/// An ISO 3166-1 alpha-2 code.
pub(super) fn country() -> Rule {
    let list: Vec<_> = COUNTRIES.split_whitespace().map(|code| format!("'{code}'")).collect();
    Rule::new(format!("self in [{}]", list.join(",")))
        .message("country must be an ISO 3166-1 alpha-2 code in capitals, such as DE, US or GB (not UK)")
}

/// The shape of an IANA time zone name. Whether the zone exists is for the controller to say: its list changes several times a year.
pub(super) fn time_zone() -> Rule {
    matches(
        "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$",
        "timeZone must be the IANA name of a time zone, such as Europe/Berlin or UTC (no offset such as +02:00)",
    )
}

/// Web origins, as browsers send them.
pub(super) fn origins() -> Rule {
    Rule::new(format!("self.all(origin, origin.matches(r\"^https?://{HOST}{PORT}?$\"))")).message(
        "each of allowedOrigins must be https:// or http://, a host in small letters and perhaps :port, such as https://www.acme.example: \
         no path, no slash at the end, no wildcard (*), no user name; write names of other scripts in Punycode (xn--)",
    )
}

/// A base URL that a path can be appended to.
pub(super) fn base_url(field: &str) -> Rule {
    let message = format!(
        "{field} must be https:// or http://, a host in small letters, perhaps :port and a path, such as https://chat.example: \
         no slash at the end, no '?' or '#', no user name or password"
    );
    matches(&format!(r"^https?://{HOST}{PORT}?(/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)*$"), &message)
}

/// The URL of an account server: with TLS, but for one on the same machine.
pub(super) fn server_url() -> Rule {
    let loopback = r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])";
    let path = r"(/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)*";
    matches(
        &format!("^(https://{HOST}|http://{loopback}){PORT}?{path}$"),
        "url must be https://, a host in small letters, perhaps :port and a path, such as https://accounts.example \
         (http:// only for localhost, 127.0.0.1 or [::1]): no slash at the end, no '?' or '#', no user name or password",
    )
}

/// Certificates in PEM. Whether they can be read is for the controller to say.
pub(super) fn certificates(field: &str) -> Rule {
    let message = format!("{field} must hold certificates in PEM: -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----");
    matches("(?s)-----BEGIN CERTIFICATE-----.+-----END CERTIFICATE-----", &message)
}

/// See [`certificates`].
pub(super) fn no_private_key(field: &str) -> Rule {
    let message =
        format!("{field} must not hold a private key: whoever may read this object could read it. Take it out, and replace that key");
    Rule::new("!self.contains('PRIVATE KEY')").message(message.as_str())
}

/// The name of the Secret that an object of the whole cluster names.
pub(super) fn secret_ref_name() -> Rule {
    matches(
        OBJECT_NAME,
        "name must be the metadata.name of a Secret in the controller's namespace and nothing else: small letters, digits, '-' and '.'",
    )
}

/// A colour of the web.
pub(super) fn color() -> Rule {
    matches("^#[0-9A-Fa-f]{6}$", "color must be #rrggbb in hexadecimal, such as \"#0b7285\" (in quotes: YAML reads a bare # as a comment)")
}

/// The name of a controller.
pub(super) fn controller_name() -> Rule {
    matches(
        "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$",
        "controllerName must be a domain, a slash and a path, such as deskplane.dev/controller",
    )
}

/// An interval between ten seconds and a day.
pub(super) fn interval(field: &str) -> Rule {
    let message = format!("{field} must be a duration from 10s to 24h in hours, minutes and seconds, such as 10m or 1h30m");
    Rule::new(
        "self.matches('^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$') && self != '' \
         && duration(self) >= duration('10s') && duration(self) <= duration('24h')",
    )
    .message(message.as_str())
}

/// A label selector: each expression has the values its operator needs.
pub(super) fn selector_expressions(field: &str) -> Rule {
    let message = format!("{field}.matchExpressions: In and NotIn need values, Exists and DoesNotExist take none");
    Rule::new(
        "!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] \
         ? has(e.values) && size(e.values) > 0 : !has(e.values) || size(e.values) == 0)",
    )
    .message(message.as_str())
}

/// A label selector: values that a label can have.
pub(super) fn selector_values(field: &str) -> Rule {
    let message = format!("{field}: label values are letters, digits, '-', '_' and '.', and begin and end with a letter or digit");
    Rule::new(format!(
        "(!has(self.matchLabels) || self.matchLabels.all(k, k.matches('{LABEL_KEY}') && self.matchLabels[k].matches('{LABEL_VALUE}'))) \
         && (!has(self.matchExpressions) || self.matchExpressions.all(e, !has(e.values) || e.values.all(v, v.matches('{LABEL_VALUE}'))))"
    ))
    .message(message.as_str())
}

/// Exactly one of `firstOperator` and `firstOperatorRef`.
pub(super) fn one_first_operator() -> Rule {
    Rule::new("has(self.firstOperator) != has(self.firstOperatorRef)").message(
        "set exactly one of firstOperator (e-mail and name, the Operator object is made) and firstOperatorRef (the name of an Operator)",
    )
}

/// At most one of `firstOperator` and `firstOperatorRef`.
pub(super) fn at_most_one_first_operator() -> Rule {
    Rule::new("!(has(self.firstOperator) && has(self.firstOperatorRef))")
        .message("set at most one of firstOperator and firstOperatorRef; without either, the account's owner is the first operator")
}

#[cfg(test)]
mod tests {
    use kube::core::cel::validate_cel;

    use crate::api::organization::{FirstOperator, Location};
    use crate::api::{Organization, OrganizationSpec, Widget, WidgetSpec};

    /// The rules use only what CEL without an API server knows too, so that a command line can run them.
    #[test]
    fn they_run_without_an_api_server() {
        let spec = |email: &str, country: &str| OrganizationSpec {
            account_ref: "acme".into(),
            display_name: Some("Acme Germany".to_owned()),
            language: Some("de".to_owned()),
            location: Some(Location { country: Some(country.to_owned()), time_zone: Some("Europe/Berlin".to_owned()) }),
            first_operator: Some(FirstOperator { email: email.to_owned(), display_name: None }),
            ..OrganizationSpec::default()
        };
        let check = |spec| validate_cel(&Organization::new("o", spec)).map_err(|error| error.to_string());
        check(spec("mia@acme.example", "DE")).unwrap();
        assert!(check(spec("mia acme.example", "DE")).unwrap_err().contains("such as ada@acme.example"));
        assert!(check(spec("mia@acme.example", "UK")).unwrap_err().contains("alpha-2"));
        let both = OrganizationSpec { first_operator_ref: Some("mia".into()), ..spec("mia@acme.example", "DE") };
        assert!(check(both).unwrap_err().contains("exactly one"));

        let widget = |origin: &str| Widget::new("w", WidgetSpec { allowed_origins: vec![origin.to_owned()], ..WidgetSpec::default() });
        let named = |mut widget: Widget| {
            widget.spec.organization_ref = "acme".into();
            widget
        };
        validate_cel(&named(widget("https://www.acme.example"))).unwrap();
        assert!(validate_cel(&named(widget("https://*.acme.example"))).is_err());
    }
}
