//! Every format, both ways.

use proptest::prelude::*;

use super::*;

fn origin() -> Name {
    Name::parse("example.net.", None).unwrap()
}

fn parse(rtype: &str, text: &str) -> Result<Box<[u8]>, RdataError> {
    parse_rdata(Rtype::parse(rtype).unwrap(), text, &origin())
}

/// Type, text as people write it, text as it is written back. What is written back reads as the same octets.
const ACCEPTED: &[(&str, &str, &str)] = &[
    ("A", "192.0.2.1", "192.0.2.1"),
    ("AAAA", "2001:DB8:0::1", "2001:db8::1"),
    ("AAAA", "::ffff:192.0.2.1", "::ffff:192.0.2.1"),
    ("NS", "ns", "ns.example.net."),
    ("CNAME", "@", "example.net."),
    ("CNAME", ".", "."),
    ("DNAME", "A\\.b.Example.", "A\\.b.Example."),
    ("PTR", "\\065\\032\\255.x.", "A\\032\\255.x."),
    ("MB", "m", "m.example.net."),
    ("NSAP-PTR", "foo.", "foo."),
    ("SOA", "ns hm 1 1h 15m 2w 300", "ns.example.net. hm.example.net. 1 3600 900 1209600 300"),
    ("SOA", "ns hm ( 1\n 2 ; comment\n 3 4 5 )", "ns.example.net. hm.example.net. 1 2 3 4 5"),
    ("MINFO", "a b.", "a.example.net. b."),
    ("RP", "a .", "a.example.net. ."),
    ("TALINK", "a b", "a.example.net. b.example.net."),
    ("MX", "10 mail", "10 mail.example.net."),
    ("MX", "0 .", "0 ."),
    ("AFSDB", "1 a", "1 a.example.net."),
    ("RT", "2 a", "2 a.example.net."),
    ("KX", "3 a", "3 a.example.net."),
    ("LP", "4 a", "4 a.example.net."),
    ("PX", "10 a b", "10 a.example.net. b.example.net."),
    ("SRV", "1 2 65535 a", "1 2 65535 a.example.net."),
    ("NAPTR", "1 2 u E2U+sip \"!^.*$!sip:a@b!\" .", "1 2 \"u\" \"E2U+sip\" \"!^.*$!sip:a@b!\" ."),
    ("TXT", "a \"b c\" d\\;e \\\"f \"\\200\"", "\"a\" \"b c\" \"d;e\" \"\\\"f\" \"\\200\""),
    ("TXT", "\"\"", "\"\""),
    ("TXT", "a\"b\"c", "\"a\" \"b\" \"c\""),
    ("TXT", "k=\"b c\"", "\"k=\" \"b c\""),
    ("SPF", "\"v=spf1 -all\"", "\"v=spf1 -all\""),
    ("AVC", "a", "\"a\""),
    ("RESINFO", "qnamemin exterr=15", "\"qnamemin\" \"exterr=15\""),
    ("HINFO", "PC \"Debian 12\"", "\"PC\" \"Debian 12\""),
    ("ISDN", "150862028003217", "\"150862028003217\""),
    ("ISDN", "150862028003217 004", "\"150862028003217\" \"004\""),
    ("X25", "311061700956", "311061700956"),
    ("GPOS", "-32.6882 116.8652 10.0", "\"-32.6882\" \"116.8652\" \"10.0\""),
    ("NSAP", "0x47.0005.80.005a00", "0x47000580005A00"),
    ("EID", "e3 2c6f", "E32C6F"),
    ("CAA", "0 issue \"ca.example.net; policy=ev\"", "0 issue \"ca.example.net; policy=ev\""),
    ("CAA", "128 iodef \"\"", "128 iodef \"\""),
    ("URI", "10 1 \"ftp://a/b\"", "10 1 \"ftp://a/b\""),
    ("DSYNC", "CDS NOTIFY 5359 a", "CDS 1 5359 a.example.net."),
    ("DOA", "0 1 2 \"\" aHR0cA==", "0 1 2 \"\" aHR0cA=="),
    ("DOA", "0 1 2 text/plain -", "0 1 2 \"text/plain\" -"),
    ("APL", "1:192.0.2.0/24 !2:2001:db8::/32 1:0.0.0.0/0", "1:192.0.2.0/24 !2:2001:db8::/32 1:0.0.0.0/0"),
    ("APL", "", ""),
    ("EUI48", "00-00-5E-00-53-2a", "00-00-5e-00-53-2a"),
    ("EUI64", "00-00-5e-ef-10-00-00-2a", "00-00-5e-ef-10-00-00-2a"),
    ("NID", "10 14:4fff:ff20:ee64", "10 0014:4fff:ff20:ee64"),
    ("L32", "10 10.1.2.0", "10 10.1.2.0"),
    ("L64", "10 2001:0DB8:1140:1000", "10 2001:0db8:1140:1000"),
    ("TLSA", "3 1 1 aBcd 01", "3 1 1 ABCD01"),
    ("SMIMEA", "3 1 0 00", "3 1 0 00"),
    ("SSHFP", "4 9 00", "4 9 00"),
    ("OPENPGPKEY", "AQ I=", "AQI="),
    ("DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="),
    ("CERT", "PKIX 1 RSASHA256 AQI=", "1 1 8 AQI="),
    ("DS", "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118", "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
    ("DS", "1 RSASHA256 9 00", "1 8 9 00"),
    ("CDS", "0 0 0 00", "0 0 0 00"),
    ("CDNSKEY", "0 3 0 AA==", "0 3 0 AA=="),
    (
        "DNSKEY",
        "257 3 ED25519 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
        "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
    ),
    ("KEY", "49152 3 0", "49152 3 0"),
    (
        "RRSIG",
        "A 5 3 86400 20030322173103 20030220173103 2642 example.com. AQI=",
        "A 5 3 86400 20030322173103 20030220173103 2642 example.com. AQI=",
    ),
    (
        "RRSIG",
        "TYPE65400 5 3 86400 0 4294967295 2642 @ AQI=",
        "TYPE65400 5 3 86400 19700101000000 21060207062815 2642 example.net. AQI=",
    ),
    ("NSEC", "host TYPE1234 A MX RRSIG NSEC A", "host.example.net. A MX RRSIG NSEC TYPE1234"),
    ("NSEC3", "1 1 12 aabb 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX", "1 1 12 AABB 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR MX"),
    ("NSEC3", "1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr", "1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR"),
    ("NSEC3PARAM", "1 0 0 -", "1 0 0 -"),
    ("CSYNC", "66 3 A NS AAAA", "66 3 A NS AAAA"),
    (
        "ZONEMD",
        "1 241 1 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F",
        "1 241 1 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D2E2F",
    ),
    (
        "HIP",
        "2 200100107B1A74DF365639CC39F1D578 AwEAAbdx s. t",
        "2 200100107B1A74DF365639CC39F1D578 AwEAAbdx s. t.example.net.",
    ),
    ("HIP", "2 20 AwEAAbdx", "2 20 AwEAAbdx"),
    ("IPSECKEY", "10 1 2 192.0.2.38 AQI=", "10 1 2 192.0.2.38 AQI="),
    ("IPSECKEY", "10 0 0 .", "10 0 0 ."),
    ("IPSECKEY", "10 3 2 gw AQI=", "10 3 2 gw.example.net. AQI="),
    ("IPSECKEY", "10 2 2 2001:db8::1 AQI=", "10 2 2 2001:db8::1 AQI="),
    ("AMTRELAY", "10 0 1 203.0.113.15", "10 0 1 203.0.113.15"),
    ("AMTRELAY", "128 1 3 relay", "128 1 3 relay.example.net."),
    ("AMTRELAY", "0 1 0 .", "0 1 0 ."),
    (
        "LOC",
        "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
        "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m",
    ),
    ("LOC", "42 S 71 6 W 24", "42 0 0.000 S 71 6 0.000 W 24.00m 1.00m 10000.00m 10.00m"),
    (
        "LOC",
        "90 N 180 0 0.0 E -100000.00m 90000000.00",
        "90 0 0.000 N 180 0 0.000 E -100000.00m 90000000.00m 10000.00m 10.00m",
    ),
    ("SVCB", "0 alias", "0 alias.example.net."),
    ("SVCB", "0 alias port=1", "0 alias.example.net. port=1"),
    (
        "HTTPS",
        "1 . ipv6hint=2001:db8::1,::2 alpn=h2,h3 port=8443 ipv4hint=192.0.2.1 mandatory=port,alpn",
        "1 . mandatory=alpn,port alpn=\"h2,h3\" port=8443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1,::2",
    ),
    ("SVCB", "1 foo key667=\"hello\\210qoo\" key1=\\002h2", "1 foo.example.net. alpn=\"h2\" key667=\"hello\\210qoo\""),
    ("SVCB", "16 foo alpn=\"f\\\\\\\\oo\\\\,bar,h2\"", "16 foo.example.net. alpn=\"f\\\\\\\\oo\\\\,bar,h2\""),
    ("SVCB", "16 foo alpn=f\\\\\\092oo\\092,bar,h2", "16 foo.example.net. alpn=\"f\\\\\\\\oo\\\\,bar,h2\""),
    (
        "HTTPS",
        "1 . no-default-alpn alpn=x ech=\"AQI=\" dohpath=/q{?dns} key9",
        "1 . alpn=\"x\" no-default-alpn ech=\"AQI=\" dohpath=\"/q{?dns}\" key9",
    ),
    ("TYPE65400", "\\# 3 01 0203", "\\# 3 010203"),
    ("TYPE65400", "\\# 0", "\\# 0"),
    ("NULL", "\\# 1 00", "\\# 1 00"),
    ("A", "\\# 4 C0000201", "192.0.2.1"),
    ("MX", "\\# 5 000a 01 61 00", "10 a."),
];

#[test]
fn accepted_text_is_written_back() {
    for (rtype, text, expected) in ACCEPTED {
        let rdata = parse(rtype, text).unwrap_or_else(|error| panic!("{rtype} {text}: {error}"));
        let shown = display_rdata(Rtype::parse(rtype).unwrap(), &rdata);
        assert_eq!(shown, *expected, "{rtype} {text}");
        assert_eq!(parse(rtype, &shown).as_ref(), Ok(&rdata), "{rtype} {shown}");
    }
}

#[test]
fn refused_text_says_where_and_what() {
    // Type, text, the octets that are blamed, part of the message.
    let check = |rtype: &str, text: &str, blamed: &str, message: &str| {
        let error = parse(rtype, text).expect_err(&format!("{rtype} {text}"));
        assert_eq!(text.get(error.span.clone()), Some(blamed), "{rtype} {text}: {error:?}");
        assert!(error.message.contains(message), "{rtype} {text}: {error:?}");
        assert!(
            error.message.starts_with(|c: char| !c.is_uppercase() || text.contains(c) || rtype.contains(c)),
            "{error:?}"
        );
    };
    check("A", "", "", "missing A address, expected an IPv4 address");
    check("A", "1.2.3", "1.2.3", "bad A address `1.2.3`");
    check("A", "1.2.3.4 5", "5", "text after the end of the A record");
    check("A", "1.2.3.4\n5", "5", "a second line");
    check("A", "\"1.2.3.4\"", "\"1.2.3.4\"", "bad A address");
    check("A", "( 1.2.3.4", "(", "unclosed parenthesis");
    check("AAAA", "2001:db8::g", "2001:db8::g", "bad AAAA address");
    check("MX", "10", "", "missing MX exchange, expected a domain name");
    check("MX", "65536 a", "65536", "expected a number from 0 to 65535");
    check("MX", "-1 a", "-1", "expected a number");
    check("MX", "a b", "a", "bad MX preference `a`");
    check("CNAME", "a..b", "a..b", "empty label");
    check("CNAME", "a\\256b", "a\\256b", "bad escape");
    check("SOA", "a b 1 1x 3 4 5", "1x", "bad SOA refresh");
    check("SOA", "a b 1 2 3 4", "", "missing SOA minimum");
    check("TXT", "", "", "missing TXT text");
    check("TXT", "a \"b", "\"", "unclosed quote");
    check("TXT", "a \"b\\300\"", "\\300", "bad escape `\\300`");
    check("TXT", "a\\1", "\\1", "bad escape");
    check("TXT", &"a".repeat(256), &"a".repeat(256), "256 octets, at most 255");
    check("X25", "311", "311", "at least four decimal digits");
    check("CAA", "0 is-sue a", "is-sue", "ASCII letters and digits");
    check("CAA", "0 issue a b", "b", "text after the end");
    check("URI", "10 1 \"\"", "\"\"", "empty URI target");
    check("DS", "1 8 2 ABCD", "ABCD", "of 2 octets, expected 32 octets");
    check("DS", "1 8 2 ABC", "ABC", "does not end on a whole octet");
    check("DS", "1 RSASHA265 2 ABC", "RSASHA265", "algorithm");
    check("DNSKEY", "256 3 8", "", "missing DNSKEY key");
    check("DNSKEY", "256 3 8 A$==", "A$==", "expected base 64");
    check("DNSKEY", "256 3 8 AQ", "AQ", "does not end on a whole octet");
    check("ZONEMD", "1 1 9 00", "00", "at least 12 octets");
    check("RRSIG", "A 5 3 1 20031322173103 0 1 a AQI=", "20031322173103", "bad RRSIG expiration");
    check("RRSIG", "A 5 3 1 21070322173103 0 1 a AQI=", "21070322173103", "bad RRSIG expiration");
    check("NSEC", "a", "", "missing NSEC types");
    check("NAPTR", "1 2 u x !foo .", "!foo", "bad NAPTR substitution `!foo`");
    check("NAPTR", "1 2 u x !a!b!x .", "!a!b!x", "bad NAPTR substitution");
    check("KEY", "256 3 8", "", "missing KEY key");
    check("KEY", "49152 3 8 AQI=", "AQI=", "text after the end");
    check("LOC", "9 N 4 E 0 90000000.01", "90000000.01", "bad LOC size");
    check("NSEC", "a A FOO", "FOO", "bad NSEC types `FOO`");
    check("NSEC3", "1 0 0 a 2t7b4g4vsa5smi47k61mv5bv1a22bojr", "a", "bad NSEC3 salt");
    check("NSEC3", "1 0 0 - 2t7z", "2t7z", "base 32");
    check("APL", "1:1.2.3.4/33", "1:1.2.3.4/33", "address prefixes");
    check("APL", "3:1.2.3.4/3", "3:1.2.3.4/3", "address prefixes");
    check("EUI48", "00-00-5E-00-53", "00-00-5E-00-53", "six octets");
    check("EUI48", "0-00-5E-00-53-2a", "0-00-5E-00-53-2a", "six octets");
    check("NID", "10 1:2:3", "1:2:3", "64 bits");
    check("NSAP", "47", "47", "`0x`");
    check("IPSECKEY", "10 1 2 gw AQI=", "gw", "IPv4 address");
    check("IPSECKEY", "10 4 2 gw AQI=", "gw", "type 4");
    check("IPSECKEY", "10 0 2 gw AQI=", "gw", "expected `.`");
    check("AMTRELAY", "10 2 1 192.0.2.1", "2", "discovery bit");
    check("LOC", "91 N 4 E 0", "91", "bad LOC latitude");
    check("LOC", "90 0 1 N 4 E 0", "90 0 1 N", "beyond 90 degrees");
    check("LOC", "9 60 N 4 E 0", "60", "bad LOC latitude");
    check("LOC", "9 5 1.2345 N 4 E 0", "1.2345", "bad LOC latitude");
    check("LOC", "9 N 4 E -100000.01", "-100000.01", "bad LOC altitude");
    check("LOC", "9 N 4 E 0 90000000001", "90000000001", "bad LOC size");
    check("SVCB", "1 . foo=bar", "foo", "bad parameter `foo`");
    check("SVCB", "1 . key65535=x", "key65535", "bad parameter");
    check("SVCB", "1 . key01=x", "key01", "bad parameter");
    check("SVCB", "1 . port=1 port=2", "port=2", "second value");
    check("SVCB", "1 . port=65536", "port=65536", "expected a port");
    check("SVCB", "1 . port", "port", "expected a port");
    check("SVCB", "1 . alpn=h2,,h3", "alpn=h2,,h3", "list of protocols");
    check("SVCB", "1 . mandatory=port", "mandatory=port", "`port` is said to be mandatory");
    check("SVCB", "1 . mandatory=mandatory", "mandatory=mandatory", "each once");
    check("SVCB", "1 . mandatory=port,port port=1", "mandatory=port,port", "each once");
    check("SVCB", "1 . no-default-alpn", "no-default-alpn", "needs the parameter `alpn`");
    check("SVCB", "1 . alpn=a no-default-alpn=b", "no-default-alpn=b", "no value");
    check("SVCB", "1 . ipv4hint=1.2.3", "ipv4hint=1.2.3", "IPv4");
    check("SVCB", "1 . ipv6hint=1.2.3.4", "ipv6hint=1.2.3.4", "IPv6");
    check("SVCB", "1 . ech=!", "ech=!", "base 64");
    check("SVCB", "1 . dohpath=/q", "dohpath=/q", "URI template");
    check("TYPE65400", "foo", "foo", "expected `\\#`");
    check("TYPE65400", "\\# 2 01", "01", "1 octets of RDATA, expected 2");
    check("TYPE65400", "\\# 1 0", "0", "does not end on a whole octet");
    check("TYPE65400", "\\#", "", "missing TYPE65400 RDATA length");
    check("A", "\\# 3 010203", "\\# 3 010203", "not well-formed RDATA of A");
    check("MX", "\\# 4 000a0161", "\\# 4 000a0161", "not well-formed RDATA of MX");
    check("TXT", "\\# 0", "\\# 0", "not well-formed");
}

#[test]
fn rdata_fits_its_length() {
    let text = "a".repeat(255);
    assert_eq!(parse("TXT", &[text.as_str(); 255].join(" ")).map(|rdata| rdata.len()), Ok(65_280));
    let error = parse("TXT", &[text.as_str(); 256].join(" ")).unwrap_err();
    assert_eq!(error.message, "TXT RDATA of 65536 octets, at most 65535 fit a record");
}

#[test]
fn hints() {
    let check = |rtype: &str, text: &str, hint: &str| {
        assert_eq!(parse(rtype, text).unwrap_err().hint.as_deref(), Some(hint), "{rtype} {text}");
    };
    check("A", "2001:db8::1", "an IPv6 address belongs in an `AAAA` record");
    check("AAAA", "192.0.2.1", "an IPv4 address belongs in an `A` record");
    check("DS", "1 RSASHA265 2 00", "did you mean `RSASHA256`?");
    check("NSEC", "a AAA", "did you mean `AAAA`?");
    check("SVCB", "1 . prot=1", "did you mean `port`?");
    check("TXT", "\"a\\\"", "a quote inside the text is written `\\\"`");
}

/// The examples of RFC 9460 D.2 and RFC 3597 5, octet for octet.
#[test]
fn octets_of_the_standards() {
    let check = |rtype: &str, text: &str, hex: &str| {
        assert_eq!(codec::hex(&parse(rtype, text).unwrap()).to_lowercase(), hex.replace(' ', ""), "{rtype} {text}");
    };
    check("HTTPS", "0 foo.example.com.", "0000 03666f6f076578616d706c6503636f6d00");
    check("SVCB", "1 .", "0001 00");
    check("SVCB", "16 foo.example.com. port=53", "0010 03666f6f076578616d706c6503636f6d00 0003 0002 0035");
    check("SVCB", "1 foo.example.com. key667=hello", "0001 03666f6f076578616d706c6503636f6d00 029b 0005 68656c6c6f");
    check(
        "SVCB",
        "1 foo.example.com. key667=\"hello\\210qoo\"",
        "0001 03666f6f076578616d706c6503636f6d00 029b 0009 68656c6c6fd2716f6f",
    );
    check(
        "SVCB",
        "1 foo.example.com. ipv6hint=\"2001:db8::1,2001:db8::53:1\"",
        "0001 03666f6f076578616d706c6503636f6d00 0006 0020 20010db8000000000000000000000001 20010db8000000000000000000530001",
    );
    check(
        "SVCB",
        "16 foo.example.org. ( alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1 )",
        "0010 03666f6f076578616d706c65036f726700 0000 0004 00010004 0001 0009 02683205 68332d3139 0004 0004 c0000201",
    );
    check(
        "SVCB",
        "16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
        "0010 03666f6f076578616d706c65036f726700 0001 000c 08665c6f6f2c626172 026832",
    );
    check("A", "\\# 4 0A000001", "0a000001");
    check("LOC", "42 21 54 N 71 06 18 W -24m 30m", "00 33 16 13 89 17 2d d0 70 be 15 f0 00 98 8d 20");
    check(
        "NSEC",
        "host.example.com. A MX RRSIG NSEC TYPE1234",
        "04686f7374076578616d706c6503636f6d00 0006 400100000003 041b 000000000000000000000000000000000000000000000000000020",
    );
}

proptest! {
    /// Octets that their type's format does not refuse read back as they are, however they came to be.
    #[test]
    fn display_round_trips(
        at in 0..ACCEPTED.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..4),
    ) {
        let (rtype, text, _) = ACCEPTED[at];
        let mut rdata = parse(rtype, text).unwrap().into_vec();
        for (index, octet, edit) in edits {
            let at = index.index(rdata.len() + 1);
            match edit {
                0 if at < rdata.len() => rdata[at] = octet,
                1 if at < rdata.len() => drop(rdata.remove(at)),
                _ => rdata.insert(at, octet),
            }
        }
        let rtype = Rtype::parse(rtype).unwrap();
        let shown = display_rdata(rtype, &rdata);
        match parse_rdata(rtype, &shown, &origin()) {
            Ok(again) => prop_assert_eq!(&*again, &*rdata, "{}", shown),
            // Octets that are not of the type's format are shown and never accepted.
            Err(error) => prop_assert!(shown.starts_with("\\# "), "{}: {}", shown, error),
        }
    }

    #[test]
    fn display_never_panics(rtype in 0..300_u16, rdata in prop::collection::vec(any::<u8>(), 0..80)) {
        let shown = display_rdata(Rtype(rtype), &rdata);
        if let Ok(again) = parse_rdata(Rtype(rtype), &shown, &origin()) {
            prop_assert_eq!(&*again, &*rdata);
        }
    }

    #[test]
    fn parse_never_panics(at in 0..ACCEPTED.len(), cut in any::<prop::sample::Index>(), put in "[ \"\\\\();=,.a0-9]{0,4}") {
        let (rtype, text, _) = ACCEPTED[at];
        let mut text = text.to_owned();
        let at = (0..=cut.index(text.len() + 1)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &put);
        if let Err(error) = parse(rtype, &text) {
            prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len(), "{:?}", error);
        }
    }
}
