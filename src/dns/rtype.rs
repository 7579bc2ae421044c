//! Record types, classes, opcodes and response codes, by number and by mnemonic (IANA DNS parameters).

use std::fmt;

/// A record type or query type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rtype(pub u16);

macro_rules! rtypes {
    ($($constant:ident = $code:literal $text:literal),* $(,)?) => {
        #[allow(missing_docs, reason = "the constants are the registry's own mnemonics")]
        impl Rtype {
            $(pub const $constant: Rtype = Rtype($code);)*
        }

        const MNEMONICS: &[(u16, &str)] = &[$(($code, $text)),*];
    };
}

rtypes! {
    A = 1 "A", NS = 2 "NS", MD = 3 "MD", MF = 4 "MF", CNAME = 5 "CNAME", SOA = 6 "SOA", MB = 7 "MB", MG = 8 "MG",
    MR = 9 "MR", NULL = 10 "NULL", WKS = 11 "WKS", PTR = 12 "PTR", HINFO = 13 "HINFO", MINFO = 14 "MINFO",
    MX = 15 "MX", TXT = 16 "TXT", RP = 17 "RP", AFSDB = 18 "AFSDB", X25 = 19 "X25", ISDN = 20 "ISDN", RT = 21 "RT",
    NSAP = 22 "NSAP", NSAP_PTR = 23 "NSAP-PTR", SIG = 24 "SIG", KEY = 25 "KEY", PX = 26 "PX", GPOS = 27 "GPOS",
    AAAA = 28 "AAAA", LOC = 29 "LOC", NXT = 30 "NXT", EID = 31 "EID", NIMLOC = 32 "NIMLOC", SRV = 33 "SRV",
    NAPTR = 35 "NAPTR", KX = 36 "KX", CERT = 37 "CERT", DNAME = 39 "DNAME", OPT = 41 "OPT", APL = 42 "APL",
    DS = 43 "DS", SSHFP = 44 "SSHFP", IPSECKEY = 45 "IPSECKEY", RRSIG = 46 "RRSIG", NSEC = 47 "NSEC",
    DNSKEY = 48 "DNSKEY", DHCID = 49 "DHCID", NSEC3 = 50 "NSEC3", NSEC3PARAM = 51 "NSEC3PARAM", TLSA = 52 "TLSA",
    SMIMEA = 53 "SMIMEA", HIP = 55 "HIP", NINFO = 56 "NINFO", RKEY = 57 "RKEY", TALINK = 58 "TALINK",
    CDS = 59 "CDS", CDNSKEY = 60 "CDNSKEY", OPENPGPKEY = 61 "OPENPGPKEY", CSYNC = 62 "CSYNC", ZONEMD = 63 "ZONEMD",
    SVCB = 64 "SVCB", HTTPS = 65 "HTTPS", DSYNC = 66 "DSYNC", SPF = 99 "SPF", NID = 104 "NID", L32 = 105 "L32",
    L64 = 106 "L64", LP = 107 "LP", EUI48 = 108 "EUI48", EUI64 = 109 "EUI64", TKEY = 249 "TKEY", TSIG = 250 "TSIG",
    IXFR = 251 "IXFR", AXFR = 252 "AXFR", MAILB = 253 "MAILB", MAILA = 254 "MAILA", ANY = 255 "ANY",
    URI = 256 "URI", CAA = 257 "CAA", AVC = 258 "AVC", DOA = 259 "DOA", AMTRELAY = 260 "AMTRELAY",
    RESINFO = 261 "RESINFO", WALLET = 262 "WALLET", CLA = 263 "CLA", TA = 32768 "TA", DLV = 32769 "DLV",
}

impl Rtype {
    /// Reads a mnemonic or `TYPEnnn` (RFC 3597 5), without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((code, _)) = MNEMONICS.iter().find(|(_, mnemonic)| mnemonic.eq_ignore_ascii_case(text)) {
            return Some(Self(*code));
        }
        generic(text, "TYPE").map(Self)
    }

    /// The registry's mnemonic, where it has one.
    pub fn mnemonic(self) -> Option<&'static str> {
        MNEMONICS.iter().find(|(code, _)| *code == self.0).map(|(_, mnemonic)| *mnemonic)
    }

    /// All mnemonics that [`Rtype::parse`] knows.
    pub fn mnemonics() -> impl Iterator<Item = &'static str> {
        MNEMONICS.iter().map(|(_, mnemonic)| *mnemonic)
    }

    /// Whether the type may only stand in a query or in the message itself, never in a zone: OPT, the 128 to 255
    /// range of RFC 6895 3.1 and 0.
    pub fn is_meta(self) -> bool {
        matches!(self.0, 0 | 41 | 128..=255)
    }
}

impl fmt::Display for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(mnemonic) => f.pad(mnemonic),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl fmt::Debug for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Class = Class(1);
    /// CHAOS.
    pub const CH: Class = Class(3);
    /// Hesiod.
    pub const HS: Class = Class(4);
    /// Query class: none (RFC 2136).
    pub const NONE: Class = Class(254);
    /// Query class: any.
    pub const ANY: Class = Class(255);

    /// Reads a mnemonic or `CLASSnnn` (RFC 3597 5), without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        [("IN", Self::IN), ("CH", Self::CH), ("HS", Self::HS), ("CS", Class(2))]
            .into_iter()
            .find(|(mnemonic, _)| mnemonic.eq_ignore_ascii_case(text))
            .map(|(_, class)| class)
            .or_else(|| generic(text, "CLASS").map(Self))
    }
}

fn generic(text: &str, prefix: &str) -> Option<u16> {
    let (head, digits) = text.split_at_checked(prefix.len())?;
    (head.eq_ignore_ascii_case(prefix) && !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// An opcode (RFC 1035 4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode(pub u8);

impl Opcode {
    /// A standard query.
    pub const QUERY: Opcode = Opcode(0);
    /// A zone change notification (RFC 1996).
    pub const NOTIFY: Opcode = Opcode(4);
    /// A dynamic update (RFC 2136).
    pub const UPDATE: Opcode = Opcode(5);
}

/// A response code; values above 15 need an OPT record (RFC 6891 6.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Rcode = Rcode(0);
    /// The query could not be read.
    pub const FORMERR: Rcode = Rcode(1);
    /// The server failed.
    pub const SERVFAIL: Rcode = Rcode(2);
    /// The name does not exist.
    pub const NXDOMAIN: Rcode = Rcode(3);
    /// The kind of query is not implemented.
    pub const NOTIMP: Rcode = Rcode(4);
    /// The server does not answer this for policy, such as a zone that it does not serve.
    pub const REFUSED: Rcode = Rcode(5);
    /// A DNAME substitution made too long a name (RFC 6672 2.2).
    pub const YXDOMAIN: Rcode = Rcode(6);
    /// The EDNS version is not supported (RFC 6891).
    pub const BADVERS: Rcode = Rcode(16);
    /// A server cookie is missing or bad (RFC 7873 8).
    pub const BADCOOKIE: Rcode = Rcode(23);

    /// The registry's mnemonic; `OTHER` for a code that this server never sends.
    pub fn mnemonic(self) -> &'static str {
        match self.0 {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            6 => "YXDOMAIN",
            16 => "BADVERS",
            23 => "BADCOOKIE",
            _ => "OTHER",
        }
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.mnemonic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_mnemonic_and_number() {
        assert_eq!(Rtype::parse("aaaa"), Some(Rtype::AAAA));
        assert_eq!(Rtype::parse("TYPE65400"), Some(Rtype(65400)));
        assert_eq!(Rtype::parse("type1"), Some(Rtype::A));
        assert_eq!(Rtype::parse("TYPE65536"), None);
        assert_eq!(Rtype::parse("TYPE"), None);
        assert_eq!(Rtype(731).to_string(), "TYPE731");
        assert_eq!(Class::parse("CLASS1"), Some(Class::IN));
    }
}
