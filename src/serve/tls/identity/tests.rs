use super::super::super::tests::credentials::{Credentials, pair};
use super::*;

/// What is said of files with this in them; `None` leaves one out.
fn said(certificate: Option<&str>, key: Option<&str>) -> String {
    let credentials = Credentials::make();
    let files = credentials.files();
    for (path, text) in [(&files.certificate, certificate), (&files.key, key)] {
        match text {
            Some(text) => std::fs::write(path, text).unwrap(),
            None => std::fs::remove_file(path).unwrap(),
        }
    }
    let Err(unusable) = check(&files) else { return "fits".into() };
    let folder = files.certificate.parent().unwrap().display().to_string();
    unusable.problem.to_string().replace(&folder, "F")
}

#[test]
fn what_is_wrong_with_the_files_is_said() {
    let (certificate, key) = pair(2050);
    let (_, other_key) = pair(2050);
    let check = |certificate, key, expected: &str| {
        let said = said(certificate, key);
        assert!(said.starts_with(expected), "{said}\n{expected}");
    };
    check(Some(&certificate), Some(&key), "fits");
    let chain = certificate.repeat(2);
    check(Some(&chain), Some(&key), "fits");
    check(None, Some(&key), "error: cannot read the certificate F/tls.pem: No such file or directory");
    check(Some(&certificate), None, "error: cannot read the key F/tls.key: No such file or directory");
    let mismatch =
        "error: the private key F/tls.key is not that of the certificate F/tls.pem (hint: both files are of one";
    check(Some(&certificate), Some(&other_key), mismatch);
    check(Some(&key), Some(&key), "error: there is no certificate in F/tls.pem");
    check(Some("hello"), Some(&key), "error: there is no certificate in F/tls.pem");
    check(Some(&certificate), Some(&certificate), "error: there is no private key in F/tls.key");
    let broken = certificate.replacen("M", "!", 1);
    check(Some(&broken), Some(&key), "error: the certificate F/tls.pem is no PEM file");
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check(Some(nonsense), Some(&key), "error: the first certificate in F/tls.pem cannot be read");
}

#[test]
fn a_certificate_that_has_expired_is_used_and_one_of_a_short_life_is_told_of_later() {
    let credentials = Credentials::make();
    let (certificate, key) = pair(2021);
    credentials.write(&certificate, &key);
    let Read { expires, soon, .. } = read(&credentials.files()).unwrap();
    assert_eq!(expires, Timestamp(1_609_459_200_000));
    assert_eq!(expires.since(soon), SOON);
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    let credentials = Credentials::make();
    let identity = Identity::load(&credentials.files()).unwrap();
    let (certificate, key) = pair(2051);
    let first = identity.current().cert.clone();
    credentials.write(&certificate, "no key");
    assert!(identity.look().is_err());
    assert_eq!(identity.current().cert, first);
    assert!(identity.problem().unwrap().contains("there is no private key"));
    credentials.write(&certificate, &key);
    identity.replace(identity.look().unwrap());
    assert_ne!(identity.current().cert, first);
    assert_eq!(identity.problem(), None);
}

#[test]
fn an_older_reading_does_not_replace_a_younger() {
    let credentials = Credentials::make();
    let identity = Identity::load(&credentials.files()).unwrap();
    let older = identity.look().unwrap();
    let (certificate, key) = pair(2051);
    credentials.write(&certificate, &key);
    identity.replace(identity.look().unwrap());
    let younger = identity.current().cert.clone();
    identity.replace(older);
    assert_eq!(identity.current().cert, younger);
}

#[test]
fn one_that_has_expired_replaces_none_that_has_not() {
    let credentials = Credentials::make();
    let identity = Identity::load(&credentials.files()).unwrap();
    let first = identity.current().cert.clone();
    let (expired, its_key) = pair(2021);
    credentials.write(&expired, &its_key);
    let Err(unusable) = identity.look() else { panic!("it is used") };
    let said = unusable.problem.to_string();
    assert!(said.contains("has expired at 2021-01-01T00:00:00Z"), "{said}");
    assert_eq!(identity.current().cert, first);
    assert!(identity.problem().is_some());

    // Where there is none that is valid, one is as good as the other.
    let identity = Identity::load(&credentials.files()).unwrap();
    let (other, its_key) = pair(2022);
    credentials.write(&other, &its_key);
    identity.replace(identity.look().unwrap());
    assert_eq!(identity.problem(), None);
}
