//! Queries, and responses in a form that compares: names in full and in lower case, sections as sets.

use std::fmt;

use concierge::dns::{Name, Rcode, Rtype};

/// What every server is told to send at most over UDP.
pub(crate) const MAX_UDP_BYTES: u16 = 1232;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    /// Wire form, in the case to ask with.
    pub(crate) name: Vec<u8>,
    pub(crate) rtype: Rtype,
}

/// How a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// UDP without OPT: 512 octets.
    Plain,
    /// UDP with OPT and this size.
    Edns(u16),
    /// UDP with DO.
    DnssecOk,
    /// TCP without OPT.
    Tcp,
}

impl Form {
    pub(crate) const ALL: [Self; 5] = [Self::Plain, Self::Edns(512), Self::Edns(4096), Self::DnssecOk, Self::Tcp];

    /// Octets of the largest response.
    pub(crate) fn limit(self) -> usize {
        match self {
            Self::Plain => 512,
            Self::Edns(size) => usize::from(size.min(MAX_UDP_BYTES)),
            Self::DnssecOk => usize::from(MAX_UDP_BYTES),
            Self::Tcp => 65_535,
        }
    }

    pub(crate) fn transport(self) -> Transport {
        if self == Self::Tcp { Transport::Tcp } else { Transport::Udp }
    }
}

impl Question {
    /// The forms that the question is asked in: all of them for the types that the algorithm knows or that fill
    /// messages, one for those that are data like any other.
    pub(crate) fn forms(&self) -> &'static [Form] {
        match self.rtype {
            Rtype::A
            | Rtype::AAAA
            | Rtype::NS
            | Rtype::CNAME
            | Rtype::DNAME
            | Rtype::SOA
            | Rtype::MX
            | Rtype::TXT
            | Rtype::DS
            | Rtype::RRSIG => &Form::ALL,
            _ => &[Form::Plain],
        }
    }

    pub(crate) fn query(&self, form: Form) -> Vec<u8> {
        let opt = match form {
            Form::Plain | Form::Tcp => None,
            Form::Edns(size) => Some((size, 0)),
            Form::DnssecOk => Some((MAX_UDP_BYTES, 0x80)),
        };
        let mut query = vec![0x5a, 0xa5, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(opt.is_some())];
        query.extend(&self.name);
        query.extend(self.rtype.0.to_be_bytes());
        query.extend([0, 1]);
        if let Some((size, flags)) = opt {
            query.extend([0, 0, 41]);
            query.extend(size.to_be_bytes());
            query.extend([0, 0, flags, 0, 0, 0]);
        }
        query
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Name::from_wire(&self.name).unwrap(), self.rtype)
    }
}

/// Every second letter in upper case.
pub(crate) fn mixed_case(wire: &[u8]) -> Vec<u8> {
    let mut position = 0;
    let mut mixed = |octet: &u8| {
        position += 1;
        if position % 2 == 0 { octet.to_ascii_uppercase() } else { octet.to_ascii_lowercase() }
    };
    wire.iter().map(&mut mixed).collect()
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    /// Lower-cased wire form.
    pub(crate) owner: Vec<u8>,
    pub(crate) rtype: Rtype,
    pub(crate) ttl: u32,
    /// Names in full and in lower case.
    pub(crate) rdata: Vec<u8>,
}

/// A response as far as servers must agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) rcode: Rcode,
    pub(crate) authoritative: bool,
    pub(crate) truncated: bool,
    /// RD, RA, AD and CD.
    pub(crate) other_flags: u8,
    /// The question's octets.
    pub(crate) question: Vec<u8>,
    /// Size, version and DO of the OPT record.
    pub(crate) opt: Option<(u16, u8, bool)>,
    /// Sorted, but for `chain`.
    pub(crate) answer: Vec<Record>,
    /// The CNAME and DNAME records of the answer in their order.
    pub(crate) chain: Vec<Record>,
    pub(crate) authority: Vec<Record>,
    pub(crate) additional: Vec<Record>,
}

impl Message {
    pub(crate) fn read(octets: &[u8]) -> Self {
        let mut reader = Reader { octets, at: 12 };
        let count = |at: usize| usize::from(u16::from_be_bytes([octets[at], octets[at + 1]]));
        assert_eq!(octets[..2], [0x5a, 0xa5]);
        for _ in 0..count(4) {
            reader.name();
            reader.at += 4;
        }
        let question = octets[12..reader.at].to_vec();
        let [mut answer, mut authority, mut additional] = [6, 8, 10].map(|at| {
            let records: Vec<Record> = (0..count(at)).map(|_| reader.record()).collect();
            records
        });
        assert_eq!(reader.at, octets.len(), "octets behind the message");
        let mut rcode = u16::from(octets[3] & 0x0f);
        let opts: Vec<Record> = additional.extract_if(.., |record| record.rtype == Rtype::OPT).collect();
        assert!(opts.len() < 2);
        let opt = opts.first().map(|opt| {
            let [upper, version, flags, _] = opt.ttl.to_be_bytes();
            rcode |= u16::from(upper) << 4;
            let size = u16::from_be_bytes([opt.rdata[0], opt.rdata[1]]);
            (size, version, flags & 0x80 != 0)
        });
        let chain =
            answer.iter().filter(|record| matches!(record.rtype, Rtype::CNAME | Rtype::DNAME)).cloned().collect();
        for section in [&mut answer, &mut authority, &mut additional] {
            section.sort();
        }
        Self {
            rcode: Rcode(rcode),
            authoritative: octets[2] & 0x04 != 0,
            truncated: octets[2] & 0x02 != 0,
            other_flags: (octets[2] & 0x01) << 7 | octets[3] & 0xf0,
            question,
            opt,
            answer,
            chain,
            authority,
            additional,
        }
    }
}

impl Message {
    /// What differs, in words.
    pub(crate) fn differences(&self, other: &Self) -> String {
        let mut differences = Vec::new();
        if self.rcode != other.rcode {
            differences.push(format!("{} for {}", self.rcode, other.rcode));
        }
        if self.authoritative != other.authoritative {
            differences.push(format!("AA {} for {}", self.authoritative, other.authoritative));
        }
        if self.truncated != other.truncated {
            differences.push(format!("TC {} for {}", self.truncated, other.truncated));
        }
        if (self.other_flags, self.opt) != (other.other_flags, other.opt) || self.question != other.question {
            differences.push("flags, question or OPT".into());
        }
        for (title, mine, theirs) in [
            ("answer", &self.answer, &other.answer),
            ("authority", &self.authority, &other.authority),
            ("additional", &self.additional, &other.additional),
        ] {
            let types = |from: &[Record], without: &[Record]| {
                let mut types: Vec<String> = from
                    .iter()
                    .filter(|record| !without.contains(record))
                    .map(|record| record.rtype.to_string())
                    .collect();
                types.dedup();
                types.join("+")
            };
            if mine != theirs {
                differences.push(format!("{title} [{}] for [{}]", types(mine, theirs), types(theirs, mine)));
            }
        }
        if self.chain != other.chain && self.answer == other.answer {
            differences.push("order of the chain".into());
        }
        differences.join(", ")
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |set: bool, word: &'static str| if set { word } else { "" };
        write!(f, "{}{}{}", self.rcode, flag(self.authoritative, " aa"), flag(self.truncated, " tc"))?;
        write!(f, " {:02x} {:?}", self.other_flags, self.opt)?;
        for (title, section) in [
            ("answer", &self.answer),
            ("chain", &self.chain),
            ("authority", &self.authority),
            ("additional", &self.additional),
        ] {
            for record in section {
                let owner = Name::from_wire(&record.owner).unwrap();
                let rdata = match Name::from_wire(&record.rdata) {
                    Ok(name) if record.rdata.len() > 4 => name.to_string(),
                    _ => record.rdata.iter().map(|octet| format!("{octet:02x}")).collect(),
                };
                write!(f, "\n    {title} {owner} {} {} {rdata}", record.ttl, record.rtype)?;
            }
        }
        Ok(())
    }
}

struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Vec<u8> {
        let taken = self.octets[self.at..self.at + length].to_vec();
        self.at += length;
        taken
    }

    fn number(&mut self) -> u16 {
        let octets = self.take(2);
        u16::from_be_bytes([octets[0], octets[1]])
    }

    /// A name in full and in lower case.
    fn name(&mut self) -> Vec<u8> {
        let mut name = Vec::new();
        let mut at = self.at;
        let mut end = None;
        loop {
            let length = usize::from(self.octets[at]);
            match length {
                0..=63 => {
                    name.extend(self.octets[at..=at + length].to_ascii_lowercase());
                    at += 1 + length;
                    if length == 0 {
                        break;
                    }
                }
                _ => {
                    let target = (length & 0x3f) << 8 | usize::from(self.octets[at + 1]);
                    assert!(target < at, "pointer forward");
                    end = end.or(Some(at + 2));
                    at = target;
                }
            }
        }
        self.at = end.unwrap_or(at);
        name
    }

    fn record(&mut self) -> Record {
        let owner = self.name();
        let rtype = Rtype(self.number());
        let class = self.take(2);
        let ttl = u32::from(self.number()) << 16 | u32::from(self.number());
        let length = usize::from(self.number());
        let end = self.at + length;
        let mut rdata = match rtype {
            Rtype::NS | Rtype::CNAME | Rtype::PTR => self.name(),
            Rtype::MX => [self.take(2), self.name()].concat(),
            Rtype::SOA => [self.name(), self.name(), self.take(20)].concat(),
            // Its class is the sender's size.
            Rtype::OPT => class,
            Rtype::DNAME | Rtype::SRV | Rtype::RP | Rtype::AFSDB | Rtype::NAPTR | Rtype::SVCB | Rtype::HTTPS => {
                self.take(length).to_ascii_lowercase()
            }
            _ => self.take(length),
        };
        if rtype == Rtype::OPT {
            self.at = end;
            rdata.truncate(2);
        }
        assert_eq!(self.at, end, "RDATA of {rtype} does not end where it should");
        Record { owner, rtype, ttl, rdata }
    }
}
