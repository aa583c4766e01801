//! Tokens that are taken, and all that are not.

use farlog_testkit::tokens::{Issuer, key_set, unsecured};
use serde_json::json;

use super::*;
use crate::limits::TOKEN_KEYS_MAX;

const NOW_MS: i64 = 1_700_000_000_000;
const TIME: TokenTime = TokenTime { now_ms: NOW_MS, skew_ms: 30_000 };

fn options(trust: TokenTrust) -> TokenOptions {
    TokenOptions { trust, issuer: None, audiences: Vec::new(), principal_claim: "sub".to_owned() }
}

fn trusting(issuers: &[&Issuer]) -> TokenOptions {
    let keys = TokenKeys::parse(&key_set(issuers.iter().copied())).expect("a key set");
    options(TokenTrust::Signed(keys))
}

/// In seconds from now.
fn at(seconds: i64) -> i64 {
    NOW_MS / 1_000 + seconds
}

fn claims() -> Value {
    json!({ "sub": "alice", "iat": at(-100), "exp": at(60) })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[test]
fn the_signature_of_rfc_7515_is_verified() {
    // Appendix A.3: claims that do not say when they were issued.
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc\
                  19yb290Ijp0cnVlfQ";
    let key = r#"{"keys":[{"kty":"EC","crv":"P-256",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let keys = TokenKeys::parse(key).unwrap();
    let tokens = options(TokenTrust::Signed(keys.clone()));
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP\
                     3-Kg6NU1Q";
    let token = format!("eyJhbGciOiJFUzI1NiJ9.{claims}.{signature}");
    let then = TokenTime { now_ms: 1_300_819_379_000, skew_ms: 0 };
    assert_eq!(tokens.validate(&token, then), Err(TokenError::Claim("iat")));
    let tampered = token.replace(".eyJpc3M", ".eyJpc3N");
    assert_eq!(tokens.validate(&tampered, then), Err(TokenError::Signature));
    let other = TokenKeys::parse(&key_set([&Issuer::rs256("r")])).unwrap();
    let tokens = options(TokenTrust::Signed(other));
    assert_eq!(tokens.validate(&token, then), Err(TokenError::UnknownKey));
}

#[test]
fn whoever_was_signed_for_is_known() {
    let (rsa, ec, stranger) = (Issuer::rs256("r"), Issuer::es256("e"), Issuer::es256("e"));
    let tokens = trusting(&[&rsa, &ec]);
    for issuer in [&rsa, &ec] {
        let bearer = tokens.validate(&issuer.token(&claims()), TIME).unwrap();
        let principal = Principal::user("alice");
        assert_eq!(bearer, Bearer { principal, expires_at_ms: NOW_MS + 60_000 });
        let token = issuer.token(&claims());
        let (rest, signature) = token.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { "B" } else { "A" };
        let tampered = format!("{rest}.{other}{}", &signature[1..]);
        assert_eq!(tokens.validate(&tampered, TIME), Err(TokenError::Signature));
        assert_eq!(tokens.validate(&format!("{rest}."), TIME), Err(TokenError::Signature));
        assert_eq!(tokens.validate(&format!("{token}."), TIME), Err(TokenError::Form));
        assert_eq!(tokens.validate(rest, TIME), Err(TokenError::Form));
    }
    let forged = stranger.token(&claims());
    assert_eq!(tokens.validate(&forged, TIME), Err(TokenError::Signature));
    assert_eq!(tokens.validate(&unsecured(&claims()), TIME), Err(TokenError::Algorithm));
    let header = |header: Value| tokens.validate(&ec.token_with(&header, &claims()), TIME);
    // Without a key's id, every key of the kind is tried.
    assert!(header(json!({ "alg": "ES256" })).is_ok());
    assert_eq!(header(json!({ "alg": "ES256", "kid": "x" })), Err(TokenError::UnknownKey));
    assert_eq!(header(json!({ "alg": "RS256", "kid": "e" })), Err(TokenError::UnknownKey));
    assert_eq!(header(json!({ "alg": "RS256" })), Err(TokenError::Signature));
    assert_eq!(header(json!({ "alg": "RS384" })), Err(TokenError::UnknownKey));
    assert_eq!(header(json!({ "alg": "HS256" })), Err(TokenError::Algorithm));
    assert_eq!(header(json!({ "alg": "ES256", "crit": ["b64"] })), Err(TokenError::Critical));
    assert_eq!(header(json!({ "kid": "e" })), Err(TokenError::Json));
}

#[test]
fn claims_are_checked() {
    let issuer = Issuer::es256("e");
    let mut tokens = trusting(&[&issuer]);
    let check = |tokens: &TokenOptions, claims: &Value| {
        tokens.validate(&issuer.token(claims), TIME).map(|bearer| bearer.principal)
    };
    let alice = Ok(Principal::user("alice"));
    for (claim, value, expected) in [
        ("exp", json!(at(-29)), alice.clone()),
        ("exp", json!(at(-30)), Err(TokenError::Expired)),
        ("exp", json!(1e300), alice.clone()),
        ("exp", json!(-1e300), Err(TokenError::Expired)),
        ("exp", json!("soon"), Err(TokenError::Claim("exp"))),
        ("exp", Value::Null, Err(TokenError::Claim("exp"))),
        ("nbf", json!(at(30)), alice.clone()),
        ("nbf", json!(at(31)), Err(TokenError::Early)),
        ("iat", json!(at(61)), Err(TokenError::Order)),
        ("iat", json!("x"), Err(TokenError::Claim("iat"))),
        ("sub", json!(""), Err(TokenError::Nobody)),
        ("sub", json!(1), Err(TokenError::Nobody)),
    ] {
        assert_eq!(check(&tokens, &with(claim, value.clone())), expected, "{claim}: {value}");
    }
    for (claim, expected) in [
        ("exp", TokenError::Claim("exp")),
        ("iat", TokenError::Claim("iat")),
        ("sub", TokenError::Nobody),
    ] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(claim);
        assert_eq!(check(&tokens, &claims), Err(expected));
    }
    assert_eq!(check(&tokens, &json!("text")), Err(TokenError::Json));
    tokens.issuer = Some("joe".to_owned());
    assert_eq!(check(&tokens, &claims()), Err(TokenError::Issuer));
    assert_eq!(check(&tokens, &with("iss", json!("eve"))), Err(TokenError::Issuer));
    assert_eq!(check(&tokens, &with("iss", json!("joe"))), alice);
    tokens.issuer = None;
    tokens.audiences = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(check(&tokens, &claims()), Err(TokenError::Audience));
    assert_eq!(check(&tokens, &with("aud", json!("c"))), Err(TokenError::Audience));
    assert_eq!(check(&tokens, &with("aud", json!(["c", 1]))), Err(TokenError::Audience));
    assert_eq!(check(&tokens, &with("aud", json!("b"))), alice);
    assert_eq!(check(&tokens, &with("aud", json!(["c", "a"]))), alice);
    tokens.audiences = Vec::new();
    tokens.principal_claim = "azp".to_owned();
    let bob = Ok(Principal::user("bob"));
    assert_eq!(check(&tokens, &with("azp", json!("bob"))), bob);
}

#[test]
fn unsecured_tokens_are_taken_only_where_they_are_asked_for() {
    let tokens = options(TokenTrust::Unsecured);
    let bearer = tokens.validate(&unsecured(&claims()), TIME).unwrap();
    assert_eq!(bearer.principal, Principal::user("alice"));
    let expired = tokens.validate(&unsecured(&with("exp", json!(at(-31)))), TIME);
    assert_eq!(expired, Err(TokenError::Expired));
    let signed = format!("{}QQ", unsecured(&claims()));
    assert_eq!(tokens.validate(&signed, TIME), Err(TokenError::Signature));
    let signed = Issuer::es256("e").token(&claims());
    assert_eq!(tokens.validate(&signed, TIME), Err(TokenError::Algorithm));
}

#[test]
fn key_sets_are_read() {
    let ec = Issuer::es256("e").key();
    let set = |keys: Value| TokenKeys::parse(&json!({ "keys": keys }).to_string());
    let known = set(json!([{ "kty": "oct", "k": "AA" }, { "kty": "OKP", "crv": "Ed25519" }, ec]));
    assert_eq!(format!("{:?}", known.unwrap()), r#"[Some("e")]"#);
    let mut encrypting = ec.clone();
    encrypting["use"] = json!("enc");
    assert_eq!(set(json!([encrypting])).unwrap_err(), TokenKeysError::NoKey);
    assert_eq!(set(json!([])).unwrap_err(), TokenKeysError::NoKey);
    let mut short = ec.clone();
    short["x"] = json!("AAAA");
    let told = set(json!([ec, short])).unwrap_err().to_string();
    assert!(told.starts_with("key 1 of the JWK set") && told.contains("as long as"), "{told}");
    let weak = json!({ "kty": "RSA", "n": "AAAA_w", "e": "AQAB" });
    assert!(set(json!([weak])).unwrap_err().to_string().contains("2048"));
    assert!(TokenKeys::parse("{}").unwrap_err().to_string().contains("not a JWK set"));
    let many = vec![json!({ "kty": "oct" }); TOKEN_KEYS_MAX + 1];
    assert_eq!(
        set(json!(many)).unwrap_err(),
        TokenKeysError::TooMany { count: TOKEN_KEYS_MAX + 1 }
    );
}

#[test]
fn keys_can_be_replaced() {
    let (older, newer) = (Issuer::es256("1"), Issuer::es256("2"));
    let keys = TokenKeys::parse(&key_set([&older])).unwrap();
    let tokens = options(TokenTrust::Signed(keys.clone()));
    assert!(tokens.validate(&newer.token(&claims()), TIME).is_err());
    assert!(keys.replace("{").is_err());
    assert!(tokens.validate(&older.token(&claims()), TIME).is_ok());
    keys.replace(&key_set([&newer])).unwrap();
    assert!(tokens.validate(&newer.token(&claims()), TIME).is_ok());
    assert_eq!(tokens.validate(&older.token(&claims()), TIME), Err(TokenError::UnknownKey));
}

#[test]
fn first_messages_lead_to_bearers_or_refusals() {
    let tokens = options(TokenTrust::Unsecured);
    let take = |text: String| tokens.take(text.as_bytes(), TIME);
    let token = unsecured(&claims());
    assert!(matches!(take(format!("n,,\x01auth=Bearer {token}\x01\x01")), Ok(Borne::Valid(_))));
    assert!(take(format!("n,a=alice,\x01auth=Bearer {token}\x01\x01")).is_ok());
    let other = take(format!("n,a=bob,\x01auth=Bearer {token}\x01\x01"));
    assert_eq!(other, Err(FirstMessageError::OtherPrincipal));
    let refused = take("n,,\x01auth=Bearer a.b.c\x01\x01".to_owned());
    assert_eq!(refused, Ok(Borne::Refused(TokenError::Form)));
    assert!(matches!(take(token), Err(FirstMessageError::Malformed(_))));
}

proptest::proptest! {
    #[test]
    fn any_token_is_taken_or_refused(token in "[-_.a-zA-Z0-9]{0,80}", header in ".{0,40}") {
        let tokens = options(TokenTrust::Unsecured);
        proptest::prop_assert!(tokens.validate(&token, TIME).is_err());
        let token = unsecured(&Value::String(header));
        proptest::prop_assert!(tokens.validate(&token, TIME).is_err());
    }
}
