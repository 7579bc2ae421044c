//! The table of RDATA formats: for each type its fields in order, which drive reading, checking and writing alike.

use crate::dns::Rtype;

/// One field: how it is written and how it is encoded.
///
/// Variants whose name says "rest" or that are plural take everything up to the end of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A number in one octet.
    U8,
    /// A number in two octets.
    U16,
    /// A number in four octets.
    U32,
    /// Seconds in four octets; units such as `1h30m` may be written.
    Seconds,
    /// A time in four octets, written as seconds or `YYYYMMDDHHmmSS` (RFC 4034 3.2).
    Time,
    /// A number in one octet or its mnemonic.
    Keyword8(&'static [(&'static str, u16)]),
    /// A number in two octets or its mnemonic.
    Keyword16(&'static [(&'static str, u16)]),
    /// A record type.
    Type,
    /// An IPv4 address.
    Address4,
    /// An IPv6 address.
    Address6,
    /// An uncompressed domain name.
    Name,
    /// Domain names to the end, maybe none (RFC 8005 5).
    Names,
    /// A `<character-string>`.
    Text,
    /// A `<character-string>` that may be left out at the end.
    OptionalText,
    /// `<character-string>`s to the end, at least one.
    Texts,
    /// A `<character-string>` that is empty or a substitution expression (RFC 3402 3.2).
    Substitution,
    /// A `<character-string>` of decimal digits, at least four (RFC 1183 3.1).
    Digits,
    /// Text to the end without a length octet; at least so many octets.
    Rest(usize),
    /// A tag of ASCII letters and digits with a length octet (RFC 8659 4.1).
    Tag,
    /// Base 16 to the end, at least one octet.
    Hex,
    /// Base 16 to the end, whose length the octet at `kind_at` prescribes where `lengths` knows it.
    Digest {
        /// Offset in the RDATA of the octet that names the digest algorithm.
        kind_at: usize,
        /// Octets of a digest by algorithm.
        lengths: &'static [(u8, usize)],
        /// Least octets of any other.
        min: usize,
    },
    /// Base 16 with a length octet, `-` when empty (RFC 5155 3.3).
    Salt,
    /// Base 32 with a length octet (RFC 5155 3.3).
    Hash,
    /// Base 64 to the end, at least one octet.
    Base64,
    /// Base 64 to the end, maybe nothing.
    OptionalBase64,
    /// Base 64 to the end, or nothing where the flags at the start of the RDATA say so (RFC 2535 3.1.2).
    KeyUnlessNone,
    /// Base 64 to the end in one word, `-` when empty.
    DashBase64,
    /// A type bitmap (RFC 4034 4.1.2) of at least so many types.
    Bitmap(usize),
    /// An identifier of so many octets in hexadecimal, joined by `-` (RFC 7043).
    Eui(usize),
    /// 64 bits as four groups of hexadecimal digits (RFC 6742 2.1.2).
    Groups,
    /// `0x` and hexadecimal digits, dots ignored (RFC 1706 7).
    Nsap,
    /// Address prefixes (RFC 3123).
    Prefixes,
    /// Latitude to precision (RFC 1876 3).
    Location,
    /// Nothing, an address or a name, as the low seven bits of the RDATA's second octet say (RFC 4025 2.5, RFC 8777 4.2.4).
    Gateway,
    /// The discovery bit and the relay type, in one octet (RFC 8777 4.3.1).
    Discovery,
    /// Algorithm, tag and key of a host identity (RFC 8005 5).
    HostIdentity,
    /// Service parameters (RFC 9460 2.1).
    Params,
}

/// The fields of a type by name; `None` for a type that is only written as RFC 3597 has it.
pub(super) type Format = &'static [(&'static str, Field)];

/// The format of a type.
pub(super) fn format(rtype: Rtype) -> Option<Format> {
    use Field::*;
    Some(match rtype {
        Rtype::A => &[("address", Address4)],
        Rtype::AAAA => &[("address", Address6)],
        Rtype::NS => &[("name server", Name)],
        Rtype::CNAME | Rtype::DNAME => &[("target", Name)],
        Rtype::PTR => &[("name", Name)],
        Rtype::MB => &[("mail host", Name)],
        Rtype::MG | Rtype::MR => &[("mailbox", Name)],
        Rtype::NSAP_PTR => &[("owner", Name)],
        Rtype::SOA => &[
            ("primary name server", Name),
            ("mailbox", Name),
            ("serial", U32),
            ("refresh", Seconds),
            ("retry", Seconds),
            ("expire", Seconds),
            ("minimum", Seconds),
        ],
        Rtype::MINFO => &[("responsible mailbox", Name), ("error mailbox", Name)],
        Rtype::RP => &[("mailbox", Name), ("text name", Name)],
        Rtype::TALINK => &[("previous name", Name), ("next name", Name)],
        Rtype::MX => &[("preference", U16), ("exchange", Name)],
        Rtype::AFSDB => &[("subtype", U16), ("host", Name)],
        Rtype::RT => &[("preference", U16), ("intermediate host", Name)],
        Rtype::KX => &[("preference", U16), ("exchanger", Name)],
        Rtype::LP => &[("preference", U16), ("name", Name)],
        Rtype::PX => &[("preference", U16), ("RFC 822 domain", Name), ("X.400 domain", Name)],
        Rtype::SRV => &[("priority", U16), ("weight", U16), ("port", U16), ("target", Name)],
        Rtype::NAPTR => &[
            ("order", U16),
            ("preference", U16),
            ("flags", Text),
            ("services", Text),
            ("substitution", Substitution),
            ("replacement", Name),
        ],
        Rtype::TXT | Rtype::SPF | Rtype::AVC | Rtype::NINFO | Rtype::RESINFO | Rtype::WALLET | Rtype::CLA => {
            &[("text", Texts)]
        }
        Rtype::HINFO => &[("CPU", Text), ("operating system", Text)],
        Rtype::ISDN => &[("address", Text), ("subaddress", OptionalText)],
        Rtype::X25 => &[("PSDN address", Digits)],
        Rtype::GPOS => &[("longitude", Text), ("latitude", Text), ("altitude", Text)],
        Rtype::LOC => &[("location", Location)],
        Rtype::NSAP => &[("address", Nsap)],
        Rtype::EID | Rtype::NIMLOC => &[("octets", Hex)],
        Rtype::CAA => &[("flags", U8), ("tag", Tag), ("value", Rest(0))],
        Rtype::URI => &[("priority", U16), ("weight", U16), ("target", Rest(1))],
        Rtype::DSYNC => &[("type", Type), ("scheme", Keyword8(DSYNC_SCHEMES)), ("port", U16), ("target", Name)],
        Rtype::DOA => {
            &[("enterprise", U32), ("type", U32), ("location", U8), ("media type", Text), ("content", DashBase64)]
        }
        Rtype::APL => &[("address prefixes", Prefixes)],
        Rtype::EUI48 => &[("identifier", Eui(6))],
        Rtype::EUI64 => &[("identifier", Eui(8))],
        Rtype::NID => &[("preference", U16), ("node identifier", Groups)],
        Rtype::L64 => &[("preference", U16), ("locator", Groups)],
        Rtype::L32 => &[("preference", U16), ("locator", Address4)],
        Rtype::SVCB | Rtype::HTTPS => &[("priority", U16), ("target", Name), ("parameters", Params)],
        Rtype::HIP => &[("identity", HostIdentity), ("rendezvous servers", Names)],
        Rtype::IPSECKEY => &[
            ("precedence", U8),
            ("gateway type", U8),
            ("algorithm", U8),
            ("gateway", Gateway),
            ("key", OptionalBase64),
        ],
        Rtype::AMTRELAY => &[("precedence", U8), ("relay type", Discovery), ("relay", Gateway)],
        Rtype::DHCID => &[("identifier", Base64)],
        Rtype::OPENPGPKEY => &[("key", Base64)],
        Rtype::TLSA | Rtype::SMIMEA => &[("usage", U8), ("selector", U8), ("matching type", U8), ("association", Hex)],
        Rtype::SSHFP => &[
            ("algorithm", U8),
            ("fingerprint type", U8),
            ("fingerprint", Digest { kind_at: 1, lengths: &[(1, 20), (2, 32)], min: 1 }),
        ],
        Rtype::CERT => &[
            ("type", Keyword16(CERT_TYPES)),
            ("key tag", U16),
            ("algorithm", Keyword8(ALGORITHMS)),
            ("certificate", Base64),
        ],
        Rtype::DS | Rtype::CDS | Rtype::DLV | Rtype::TA => &[
            ("key tag", U16),
            ("algorithm", Keyword8(ALGORITHMS)),
            ("digest type", Keyword8(DIGEST_TYPES)),
            ("digest", Digest { kind_at: 3, lengths: &[(1, 20), (2, 32), (3, 32), (4, 48)], min: 1 }),
        ],
        Rtype::DNSKEY | Rtype::CDNSKEY | Rtype::RKEY => {
            &[("flags", U16), ("protocol", U8), ("algorithm", Keyword8(ALGORITHMS)), ("key", Base64)]
        }
        Rtype::KEY => &[("flags", U16), ("protocol", U8), ("algorithm", Keyword8(ALGORITHMS)), ("key", KeyUnlessNone)],
        Rtype::RRSIG | Rtype::SIG => &[
            ("covered type", Type),
            ("algorithm", Keyword8(ALGORITHMS)),
            ("labels", U8),
            ("original TTL", U32),
            ("expiration", Time),
            ("inception", Time),
            ("key tag", U16),
            ("signer", Name),
            ("signature", Base64),
        ],
        Rtype::NSEC => &[("next name", Name), ("types", Bitmap(1))],
        Rtype::NSEC3 => &[
            ("hash algorithm", U8),
            ("flags", U8),
            ("iterations", U16),
            ("salt", Salt),
            ("next hashed name", Hash),
            ("types", Bitmap(0)),
        ],
        Rtype::NSEC3PARAM => &[("hash algorithm", U8), ("flags", U8), ("iterations", U16), ("salt", Salt)],
        Rtype::CSYNC => &[("serial", U32), ("flags", U16), ("types", Bitmap(0))],
        Rtype::ZONEMD => &[
            ("serial", U32),
            ("scheme", U8),
            ("hash algorithm", U8),
            ("digest", Digest { kind_at: 5, lengths: &[(1, 48), (2, 64)], min: 12 }),
        ],
        _ => return None,
    })
}

/// Whether names in the RDATA compare without regard to case: the types of RFC 4034 6.2 as RFC 6840 5.1 amends it.
/// Names in types that came after RFC 3597 are compared as octets (RFC 3597 7).
pub(super) fn folds_names(rtype: Rtype) -> bool {
    matches!(
        rtype,
        Rtype::NS
            | Rtype::CNAME
            | Rtype::SOA
            | Rtype::MB
            | Rtype::MG
            | Rtype::MR
            | Rtype::PTR
            | Rtype::MINFO
            | Rtype::MX
            | Rtype::RP
            | Rtype::AFSDB
            | Rtype::RT
            | Rtype::SIG
            | Rtype::PX
            | Rtype::NAPTR
            | Rtype::KX
            | Rtype::SRV
            | Rtype::DNAME
            | Rtype::RRSIG
    )
}

/// DNSSEC algorithms (IANA).
const ALGORITHMS: &[(&str, u16)] = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("NSEC3DSA", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("NSEC3RSASHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECCGOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// DS digest algorithms (IANA).
const DIGEST_TYPES: &[(&str, u16)] =
    &[("SHA1", 1), ("SHA-1", 1), ("SHA256", 2), ("SHA-256", 2), ("GOST", 3), ("SHA384", 4), ("SHA-384", 4)];

/// Certificate types (RFC 4398 2.1).
const CERT_TYPES: &[(&str, u16)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

/// Notification schemes (RFC 9859 2.1).
const DSYNC_SCHEMES: &[(&str, u16)] = &[("NOTIFY", 1)];
