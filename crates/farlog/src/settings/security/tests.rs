//! Client properties and what is read from them.

use super::super::surroundings::Imagined;
use super::*;

/// A self-signed certificate and its key.
fn identity() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["kafka".to_owned()]).unwrap();
    (made.cert.pem().replace('\r', ""), made.signing_key.serialize_pem().replace('\r', ""))
}

fn read(pairs: &[(&str, &str)]) -> (ClientSettings, Vec<String>) {
    read_with(pairs, &identity())
}

fn read_with(
    pairs: &[(&str, &str)],
    (certificate, key): &(String, String),
) -> (ClientSettings, Vec<String>) {
    let mut report = Report::new("test", "");
    let place = (Report::MAIN, Place { line: 1, column: 1, length: 1 });
    let properties: ClientProperties = pairs
        .iter()
        .map(|(name, value)| ((*name).into(), Setting { value: (*value).into(), place }))
        .collect();
    let mut imagined = Imagined::default();
    imagined.files.insert("ca.pem".into(), certificate.clone().into());
    imagined.files.insert("me.pem".into(), format!("{key}{certificate}").into());
    let nonsense = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    imagined.files.insert("nonsense.pem".into(), nonsense.into());
    imagined.files.insert("trust.jks".into(), vec![0xFE, 0xED, 0xFE, 0xED, 0, 0, 0, 2]);
    let settings = client_settings(&properties, &imagined, &mut report);
    explain_keys(&properties, &mut report);
    let said = report.diagnostics.iter().map(|each| {
        let hint = each.hint.as_ref().map(|hint| format!(" [{hint}]")).unwrap_or_default();
        format!("{}: {}{hint}", each.severity.word(), each.message)
    });
    (settings, said.collect())
}

#[test]
fn plaintext_is_the_default() {
    let (settings, said) = read(&[("bootstrap.servers", "b1:9092, b2:9092,b1:9092")]);
    assert_eq!(settings.bootstrap_servers.len(), 2);
    assert_eq!(settings.security, SecuritySettings::default());
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn sasl_over_tls() {
    let made = identity();
    let pairs = [
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.jaas.config", "ScramLoginModule required username=\"u\" password=\"p\";"),
        ("ssl.truststore.location", "ca.pem"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.keystore.location", "me.pem"),
        ("ssl.endpoint.identification.algorithm", ""),
    ];
    let (settings, said) = read_with(&pairs, &made);
    assert_eq!(said, Vec::<String>::new());
    let sasl = settings.security.sasl.unwrap();
    assert_eq!((sasl.mechanism, sasl.username.as_str()), (SaslMechanism::ScramSha512, "u"));
    assert_eq!(format!("{:?}", sasl.password), "(hidden)");
    let tls = settings.security.tls.unwrap();
    assert!(tls.any_host_name && tls.identity.is_some());
    assert_eq!(tls.authorities_pem.unwrap(), made.0.as_bytes());
}

#[test]
fn inline_pem_is_taken_as_it_is() {
    let (certificate, key) = identity();
    let (settings, said) = read(&[
        ("security.protocol", "SSL"),
        ("ssl.truststore.certificates", &certificate.replace('\n', " ")),
        ("ssl.keystore.certificate.chain", &certificate),
        ("ssl.keystore.key", &key),
    ]);
    assert_eq!(said, Vec::<String>::new());
    let tls = settings.security.tls.unwrap();
    assert_eq!(tls.authorities_pem.unwrap(), certificate.as_bytes(), "lines are restored");
    assert_eq!(tls.identity.unwrap().key_pem, key.as_bytes());
}

#[test]
fn java_stores_are_refused_with_the_way_out() {
    let (_, said) = read(&[("security.protocol", "SSL"), ("ssl.truststore.location", "trust.jks")]);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("JKS or PKCS12") && said[0].contains("keytool"), "{said:?}");
    let (_, said) = read(&[("security.protocol", "SSL"), ("ssl.truststore.location", "no.pem")]);
    assert!(said[0].starts_with("error: cannot read no.pem"), "{said:?}");
    let (_, said) =
        read(&[("security.protocol", "SSL"), ("ssl.truststore.location", "nonsense.pem")]);
    assert!(said[0].contains("the certificate authority cannot be used"), "{said:?}");
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    let (_, said) = read(&[
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "GSSAPI"),
        ("sasl.jaas.config", "com.sun.security.auth.module.Krb5LoginModule required;"),
        ("interceptor.classes", "com.acme.Spy"),
        ("metric.reporters", "org.apache.kafka.common.metrics.JmxReporter"),
    ]);
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said.iter().all(|each| each.starts_with("error")), "{said:?}");
    let (_, said) = read(&[("security.protocol", "TLS")]);
    assert!(said[0].contains("`TLS` is no security protocol"));
    let (_, said) = read(&[
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.jaas.config", "ScramLoginModule required username=\"u\" password=\"p\";"),
    ]);
    assert!(said[0].contains("not the one of PLAIN"), "{said:?}");
}

#[test]
fn what_has_no_effect_is_said() {
    let (_, said) =
        read(&[("sasl.mechanism", "PLAIN"), ("linger.ms", "5"), ("bootstrap.server", "b1:9092")]);
    assert_eq!(
        said,
        [
            "warning: `sasl.mechanism` has no effect with security.protocol=PLAINTEXT \
             [security.protocol decides whether TLS and SASL are used]",
            "warning: `bootstrap.server` is no Kafka client property \
             [did you mean `bootstrap.servers`?]",
            "info: `linger.ms` has no effect: Farlog's client tunes itself",
        ]
    );
}
