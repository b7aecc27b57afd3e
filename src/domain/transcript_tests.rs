use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

const LINE: &str = r#"{"startedAt":"2026-11-25T10:00:00Z","visitor":{"name":"Vera","email":"vera@mail.example","ip":"192.0.2.7"},
    "messages":[{"at":"2026-11-25T10:00:05+01:00","author":"Visitor","text":"Hello,\n\tis anybody there?"},
    {"at":"2026-11-25T10:00:09.25Z","author":"Operator","text":"Yes."}]}"#;

fn line() -> String {
    LINE.replace('\n', "")
}

fn problem(line: &str) -> String {
    Transcript::parse(line.as_bytes()).expect_err(line).to_string()
}

#[test]
fn a_line_is_read_and_written_without_loss() {
    let transcript = Transcript::parse(line().as_bytes()).unwrap();
    assert_eq!(transcript.started_at, "2026-11-25T10:00:00Z".parse().unwrap());
    assert_eq!(transcript.visitor.ip, Some("192.0.2.7".parse().unwrap()));
    assert_eq!(transcript.messages[0].at, "2026-11-25T09:00:05Z".parse().unwrap());
    assert_eq!((transcript.messages[1].author, transcript.messages[1].text.as_str()), (Author::Operator, "Yes."));
    let written = serde_json::to_vec(&transcript).unwrap();
    assert_eq!(Transcript::parse(&written).unwrap(), transcript);
    let least = Transcript::parse(br#"{"startedAt":"2026-11-25T10:00:00Z","messages":[]}"#).unwrap();
    assert_eq!(least.visitor, Visitor::default());
}

#[test]
fn what_is_wrong_is_said_by_field_and_never_by_what_a_visitor_said() {
    let time = "expected a time as in RFC 3339, such as 2026-11-25T16:41:59Z";
    let name = "n".repeat(MAX_NAME + 1);
    let email = "e".repeat(MAX_EMAIL + 1);
    let text = "t".repeat(MAX_TEXT + 1);
    let table = [
        (r#""startedAt":"2026-11-25T10:00:00Z""#, r#""startedAt":"canary""#, format!("startedAt: {time}")),
        (r#""startedAt":"2026-11-25T10:00:00Z""#, r#""startedAt":"2026-11-25""#, format!("startedAt: {time}")),
        (r#""startedAt":"2026-11-25T10:00:00Z","#, "", "missing field `startedAt`".to_owned()),
        (r#""startedAt":"2026-11-25T10:00:00Z""#, r#""startedAt":1764000000"#, "startedAt: invalid type, expected a string".to_owned()),
        (r#""ip":"192.0.2.7""#, r#""ip":"canary""#, "visitor.ip: invalid IP address syntax".to_owned()),
        (r#""name":"Vera""#, r#""canary":"Vera""#, "visitor.canary: unknown field, expected one of `name`, `email`, `ip`".to_owned()),
        (r#""name":"Vera""#, r#""name":["canary"]"#, "visitor.name: invalid type, expected a string".to_owned()),
        (r#""name":"Vera""#, r#""name":"Vera","name":"canary""#, "visitor: duplicate field `name`".to_owned()),
        (r#""name":"Vera""#, &format!(r#""name":"{name}""#), "visitor.name: longer than 200 characters; shorten it".to_owned()),
        (r#""name":"Vera""#, r#""name":"a\u0000b""#, "visitor.name: contains control characters; remove them".to_owned()),
        (r#""name":"Vera""#, r#""name":"a\nb""#, "visitor.name: contains control characters; remove them".to_owned()),
        (r#""name":"Vera""#, r#""name":"\ud800""#, "visitor.name: unexpected end of hex escape".to_owned()),
        (
            r#""email":"vera@mail.example""#,
            &format!(r#""email":"{email}""#),
            "visitor.email: longer than 254 characters; shorten it".to_owned(),
        ),
        (
            r#"{"name":"Vera","email":"vera@mail.example","ip":"192.0.2.7"}"#,
            r#""canary""#,
            "visitor: invalid type, expected an object".to_owned(),
        ),
        (
            r#""author":"Operator""#,
            r#""author":"canary""#,
            "messages[1].author: unknown variant, expected one of `Visitor`, `Operator`, `System`".to_owned(),
        ),
        (r#""author":"Operator","#, "", "messages[1]: missing field `author`".to_owned()),
        (r#""at":"2026-11-25T10:00:09.25Z""#, r#""at":"expected 10 o'clock""#, format!("messages[1].at: {time}")),
        (r#""text":"Yes.""#, r#""text":"\u0007""#, "messages[1].text: contains control characters; remove them".to_owned()),
        (r#""text":"Yes.""#, r#""text":{"expected canary":1}"#, "messages[1].text: invalid type, expected a string".to_owned()),
        (r#""text":"Yes.""#, &format!(r#""text":"{text}""#), "messages[1].text: longer than 10000 characters; shorten it".to_owned()),
        (r#""text":"Yes."}]}"#, r#""text":"Yes."}]"#, "EOF while parsing an object".to_owned()),
        (r#""text":"Yes."}]}"#, r#""text":"Yes."}]} {"canary":1}"#, "trailing characters".to_owned()),
        (
            r#""messages":[{"#,
            r#""visitors":[],"messages":[{"#,
            "visitors: unknown field, expected one of `startedAt`, `visitor`, `messages`".to_owned(),
        ),
    ];
    for (good, bad, expected) in table {
        assert!(line().contains(good), "{good}");
        let said = problem(&line().replacen(good, bad, 1));
        assert_eq!(said, expected, "{bad}");
        let named = bad.starts_with(r#""canary":"#);
        assert!(named || !said.contains("canary"), "{said}");
    }
    let long = problem(&format!(r#"{{"{}\u0007":1}}"#, "f".repeat(1000)));
    assert_eq!(long, format!("{}…: unknown field, expected one of `startedAt`, `visitor`, `messages`", "f".repeat(99)));
    assert_eq!(problem(""), "EOF while parsing a value");
    for line in ["[]", "1", "null", r#""canary""#, r#"["2026-11-25T10:00:00Z",{},[]]"#] {
        assert_eq!(problem(line), "invalid type, expected an object", "{line}");
    }
    let visitor = line().replacen(r#"{"name":"Vera","email":"vera@mail.example","ip":"192.0.2.7"}"#, r#"["canary",null,null]"#, 1);
    assert_eq!(problem(&visitor), "visitor: invalid type, expected an object");
    let message = line().replacen(r#""messages":[{"#, r#""messages":[["2026-11-25T10:00:00Z","Visitor","canary"],{"#, 1);
    assert_eq!(problem(&message), "messages[0]: invalid type, expected an object");
    assert_eq!(Transcript::parse(b"{\"startedAt\":\"\xff\"}").unwrap_err().to_string(), "startedAt: invalid unicode code point");
    assert!(problem(&"[".repeat(1000)).contains("expected"));
}

#[test]
fn a_transcript_has_bounds_as_a_whole() {
    let messages = |count: usize, length: usize| {
        let message = format!(r#"{{"at":"2026-11-25T10:00:00Z","author":"System","text":"{}"}}"#, "t".repeat(length));
        format!(r#"{{"startedAt":"2026-11-25T10:00:00Z","messages":[{}]}}"#, vec![message; count].join(","))
    };
    Transcript::parse(messages(MAX_MESSAGES, 100).as_bytes()).unwrap();
    Transcript::parse(messages(1, MAX_TEXT).as_bytes()).unwrap();
    assert_eq!(problem(&messages(MAX_MESSAGES + 1, 100)), "messages: more than 1000; begin another transcript");
    assert_eq!(problem(&messages(30, MAX_TEXT)), "longer than 262144 bytes; a transcript ends earlier");
    let message = Message { at: Timestamp::UNIX_EPOCH, author: Author::System, text: "t".repeat(MAX_TEXT) };
    let built = Transcript { started_at: Timestamp::UNIX_EPOCH, visitor: Visitor::default(), messages: vec![message; 30] };
    assert!(built.check().unwrap_err().to_string().starts_with("messages: longer than"));
}

#[test]
fn lines_are_numbered_and_empty_ones_are_passed_over() {
    let good = line();
    let lines = format!("{good}\r\n\n  {good}  \n");
    assert_eq!(Transcript::parse_lines(lines.as_bytes()).unwrap().len(), 2);
    assert!(Transcript::parse_lines(b"").unwrap().is_empty());
    let bad = format!("\n{good}\n{}\n", good.replace("Operator", "Robot"));
    let error = Transcript::parse_lines(bad.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "line 3: messages[1].author: unknown variant, expected one of `Visitor`, `Operator`, `System`");
}

#[test]
fn an_organization_that_says_nothing_stores_all_for_ever() {
    let transcript = Transcript::parse(line().as_bytes()).unwrap();
    let (yes, no) = (Some(true), Some(false));
    for (store_transcripts, anonymize_visitors, stored, named) in [
        (None, None, true, true),
        (yes, no, true, true),
        (None, yes, true, false),
        (yes, yes, true, false),
        (no, None, false, false),
        (no, yes, false, false),
    ] {
        let privacy = Privacy { store_transcripts, anonymize_visitors, retention_days: None };
        let admitted = privacy.admit(transcript.clone());
        assert_eq!(admitted.is_some(), stored, "{privacy:?}");
        if let Some(admitted) = admitted {
            let visitor = if named { transcript.visitor.clone() } else { Visitor::default() };
            assert_eq!(admitted.transcript(), &Transcript { visitor, ..transcript.clone() }, "{privacy:?}");
        }
    }
}

#[test]
fn age_counts_from_the_start_but_never_from_a_time_to_come() {
    let admitted = Privacy::default().admit(Transcript::parse(line().as_bytes()).unwrap()).unwrap();
    let started = admitted.transcript().started_at;
    let hour = SignedDuration::from_hours(1);
    assert_eq!(admitted.counts_from(started + hour), started);
    assert_eq!(admitted.counts_from(started - hour), started - hour);
}

#[test]
fn what_is_a_moment_older_than_its_days_goes() {
    let now: Timestamp = "2026-11-25T10:00:00Z".parse().unwrap();
    let day = SignedDuration::from_hours(24);
    for days in [1, 30, 3650] {
        assert_eq!(kept_from(days, now), now - day * days);
    }
    assert_eq!(kept_from(1, Timestamp::MIN), Timestamp::MIN);
    // Where summer time ends, a day of the calendar has 25 hours: ours has 24.
    assert_eq!(kept_from(1, "2026-10-25T12:00:00Z".parse().unwrap()), "2026-10-24T12:00:00Z".parse().unwrap());
}

fn times() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_i64).prop_map(|millisecond| Timestamp::from_millisecond(millisecond).expect("in range"))
}

fn transcripts() -> impl Strategy<Value = Transcript> {
    let author = prop_oneof![Just(Author::Visitor), Just(Author::Operator), Just(Author::System)];
    let message = (times(), author, "[^\\p{Cc}]{0,40}").prop_map(|(at, author, text)| Message { at, author, text });
    let visitor = (
        proptest::option::of("name-[a-z]{1,20}"),
        proptest::option::of("[a-z]{1,10}@mail\\.example"),
        proptest::option::of(any::<IpAddr>()),
    );
    let visitor = visitor.prop_map(|(name, email, ip)| Visitor { name, email, ip });
    (times(), visitor, proptest::collection::vec(message, 0..5)).prop_map(|(started_at, visitor, messages)| Transcript {
        started_at,
        visitor,
        messages,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(transcript in transcripts()) {
        let written = serde_json::to_vec(&transcript).unwrap();
        prop_assert!(!written.contains(&b'\n'), "a line is a line");
        prop_assert_eq!(Transcript::parse(&written), Ok(transcript));
    }

    #[test]
    fn nothing_of_who_the_visitor_was_is_left_in_what_is_admitted(transcript in transcripts()) {
        let privacy = Privacy { anonymize_visitors: Some(true), ..Privacy::default() };
        let admitted = privacy.admit(transcript.clone()).expect("stored");
        let value = serde_json::to_value(admitted.transcript()).unwrap();
        prop_assert_eq!(&value["visitor"], &serde_json::json!({}));
        prop_assert_eq!(&admitted.transcript().messages, &transcript.messages);
    }

    #[test]
    fn whatever_is_sent_is_read_or_refused(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Transcript::parse(&line);
        let _ = Transcript::parse_lines(&line);
    }

    #[test]
    fn a_damaged_line_is_refused_without_repeating_it(at in 0..400_usize, byte in any::<u8>()) {
        let mut bytes = line().replace("Vera", "canary").into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Err(unfit) = Transcript::parse(&bytes) {
            prop_assert!(!unfit.to_string().contains("canary"), "{unfit}");
        }
    }

    #[test]
    fn longer_retention_keeps_more(days in 1..3650_i32, now in times(), start in times()) {
        let goes = |days: i32, now: Timestamp| start < kept_from(days, now);
        prop_assert_eq!(goes(days, now), now.duration_since(start) > SignedDuration::from_hours(24) * days);
        prop_assert!(goes(days, now) || !goes(days + 1, now), "what stays under fewer days stays under more");
    }
}
