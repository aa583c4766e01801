//! The subject of an X.509 certificate (RFC 5280), as Java's `X500Principal.getName` writes it
//! (RFC 2253): that is the name of a principal who comes with a certificate.

use std::fmt::Write as _;

/// Attribute types that have names in RFC 2253, by the bytes of their object identifiers.
const NAMES: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// The explicit tag of the version, which may be left out.
const VERSION: u8 = 0xa0;
/// UTF8String, PrintableString, TeletexString (taken for Latin-1), IA5String, BMPString.
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const TELETEX: u8 = 0x14;
const IA5: u8 = 0x16;
const BMP: u8 = 0x1e;

/// The subject's name; `None` if this is not a certificate.
pub(super) fn of(certificate: &[u8]) -> Option<String> {
    let (body, _) = expect(certificate, SEQUENCE)?;
    let (mut fields, _) = expect(body, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        (_, _, fields) = element(fields)?;
    }
    // Serial number, signature algorithm, issuer, validity.
    for _ in 0..4 {
        (_, _, fields) = element(fields)?;
    }
    let (mut subject, _) = expect(fields, SEQUENCE)?;
    let mut names = Vec::new();
    while !subject.is_empty() {
        let (mut set, rest) = expect(subject, SET)?;
        subject = rest;
        let mut parts = Vec::new();
        while !set.is_empty() {
            let (pair, rest) = expect(set, SEQUENCE)?;
            set = rest;
            parts.push(attribute(pair)?);
        }
        names.push(parts.join("+"));
    }
    // The most specific first.
    names.reverse();
    Some(names.join(","))
}

/// One DER element: its tag, what is in it, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0_usize, |sum, &digit| sum << 8 | usize::from(digit));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// `TYPE=value`.
fn attribute(pair: &[u8]) -> Option<String> {
    let (kind, value) = expect(pair, OBJECT_IDENTIFIER)?;
    let (tag, content, _) = element(value)?;
    let known = NAMES.iter().find(|(identifier, _)| *identifier == kind);
    match (known, text(tag, content)) {
        (Some((_, name)), Some(text)) => Some(format!("{name}={}", escaped(&text))),
        _ => {
            // A type without a name, or a value that is no text: the bytes of the whole element.
            let name = known.map_or_else(|| dotted(kind), |(_, name)| (*name).to_owned());
            let mut out = format!("{name}=#");
            for byte in value {
                let _ = write!(out, "{byte:02x}");
            }
            Some(out)
        }
    }
}

fn text(tag: u8, content: &[u8]) -> Option<String> {
    match tag {
        UTF8 | PRINTABLE | IA5 => String::from_utf8(content.to_vec()).ok(),
        TELETEX => Some(content.iter().map(|&byte| char::from(byte)).collect()),
        BMP => {
            let units = content.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            String::from_utf16(&units.collect::<Vec<u16>>()).ok()
        }
        _ => None,
    }
}

/// RFC 2253 §2.4.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let last = text.chars().count().saturating_sub(1);
    for (index, letter) in text.chars().enumerate() {
        let at_an_end = letter == ' ' && (index == 0 || index == last);
        if ",+\"\\<>;".contains(letter) || at_an_end || (letter == '#' && index == 0) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// An object identifier in digits and dots.
fn dotted(identifier: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut number = 0_u64;
    for byte in identifier {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let first = numbers.first().copied().unwrap_or(0);
    let head = (first / 40).min(2);
    let mut out = format!("{head}.{}", first - head * 40);
    for number in numbers.iter().skip(1) {
        let _ = write!(out, ".{number}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    fn subject(parts: &[(DnType, &str)]) -> Option<String> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        of(params.self_signed(&key).unwrap().der())
    }

    #[test]
    fn names_are_written_as_java_does() {
        let plain = [
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Example, Inc"),
            (DnType::OrganizationalUnitName, " a+b "),
            (DnType::CommonName, "client"),
        ];
        let found = subject(&plain).unwrap();
        assert_eq!(found, r"CN=client,OU=\ a\+b\ ,O=Example\, Inc,C=DE");
        let other = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        let found = subject(&[(other, "é"), (DnType::CommonName, "#x")]).unwrap();
        assert_eq!(found, r"CN=\#x,1.2.840.113549.1.9.1=#0c02c3a9");
        assert_eq!(subject(&[]).unwrap(), "");
    }

    #[test]
    fn what_is_no_certificate_has_no_subject() {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let bytes = certificate.der();
        assert!(of(bytes).is_some());
        for cut in 0..bytes.len() {
            assert_eq!(of(&bytes[..cut]), None);
        }
        assert_eq!(of(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
