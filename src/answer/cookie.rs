//! Server cookies (RFC 7873) in the form that all servers of a name can share (RFC 9018).
//!
//! ```text
//! client cookie (8) | version 1 | reserved (3) | timestamp (4) | SipHash-2-4 of all that and the client's address (8)
//! ```
//!
//! Pure: secrets and the time are arguments, and neither is asked for before a query has a cookie. SipHash is written out
//! here because it is on the way of every such query: the input has one of two lengths, and nothing is buffered.

use std::fmt;
use std::sync::Arc;

use arc_swap::Guard;

use super::client::{Address, Client};

/// Code of the COOKIE option (RFC 7873 4).
pub(super) const CODE: u16 = 10;

/// Octets of a client cookie.
const CLIENT: usize = 8;

/// Octets of the option as a response has it: code, length, client cookie, server cookie.
pub(super) const OCTETS: usize = 4 + 24;

/// The option's code and its length in a response.
const HEAD: [u8; 4] = [0, CODE as u8, 0, 24];

/// Seconds for which a server cookie is valid (RFC 9018 4.3).
const VALID: u32 = 3600;

/// Seconds by which a server that shares the secret may be ahead (RFC 9018 4.3).
const AHEAD: u32 = 300;

/// Age in seconds from which on a valid server cookie is replaced (RFC 9018 4.3).
const RENEWED: u32 = 1800;

/// Secrets that may be accepted, the active one included.
pub const MOST_SECRETS: usize = 8;

/// What a query's cookie is worth: only a client that has received a response from here, at its address, has a valid one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cookie {
    /// There is none, or cookies are not looked at.
    #[default]
    Absent,
    /// A client cookie alone: the client may learn a server cookie by the response.
    Client,
    /// A server cookie that was made here, or at a server with the same secret, for this client and not too long ago.
    Valid,
    /// Any other server cookie.
    Bad,
    /// Of a length that it cannot have (RFC 7873 5.2.2).
    Malformed,
}

/// The COOKIE option of a query, its octets as little-endian words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    Client(u64),
    /// With version, reserved octets and timestamp as they came, and a hash.
    Server([u64; 3]),
    /// With a server cookie of another length: that of another server.
    Foreign(u64),
}

impl Offer {
    /// Reads the option's data; `None` for a length that it cannot have (RFC 7873 4).
    #[inline(always)]
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let (client, server) = data.split_first_chunk::<CLIENT>()?;
        let client = u64::from_le_bytes(*client);
        match server.len() {
            0 => Some(Self::Client(client)),
            16 => {
                let (head, hash) = server.split_first_chunk()?;
                Some(Self::Server([client, u64::from_le_bytes(*head), u64::from_le_bytes(*hash.first_chunk()?)]))
            }
            8..=32 => Some(Self::Foreign(client)),
            _ => None,
        }
    }

    fn client(self) -> u64 {
        match self {
            Self::Client(client) | Self::Foreign(client) | Self::Server([client, ..]) => client,
        }
    }
}

/// A key that server cookies are made with. Never shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u64; 2]);

impl Secret {
    /// Of 128 bits.
    pub fn new(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, rest @ ..] = octets;
        Self([u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes(rest)])
    }

    /// Reads 32 hexadecimal digits, with or without `0x` in front.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let all_hex = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u128::from_str_radix(digits, 16).ok().filter(|_| all_hex)?;
        Some(Self::new(number.to_be_bytes()))
    }

    /// SipHash-2-4 of client cookie, head and address (RFC 9018 4.4).
    #[inline(always)]
    fn hash(self, client: u64, head: u64, address: Address) -> u64 {
        let mut state = Sip::keyed(self.0);
        state.take(client);
        state.take(head);
        match address {
            Address::V4(address) => state.take(20 << 56 | u64::from(address.swap_bytes())),
            Address::V6([upper, lower]) => {
                state.take(upper.swap_bytes());
                state.take(lower.swap_bytes());
                state.take(32 << 56);
            }
        }
        state.finish()
    }
}

/// The secret is not shown.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The active secret, and others whose cookies are accepted as well: of before a rollover, and of after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    active: Secret,
    others: Vec<Secret>,
}

impl Secrets {
    /// The first makes cookies.
    pub fn new(active: Secret, others: Vec<Secret>) -> Self {
        Self { active, others }
    }

    /// Reads a file: a secret a line, the active one first; what follows `#` is a comment.
    ///
    /// # Errors
    /// What is wrong, without what the file holds.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut secrets = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let Some(secret) = Secret::parse(line) else {
                return Err(format!(
                    "line {number} is not 32 hexadecimal digits, as `openssl rand -hex 16` makes them"
                ));
            };
            if secrets.contains(&secret) {
                return Err(format!("the secret of line {number} is there already"));
            }
            secrets.push(secret);
        }
        match &*secrets {
            [] => Err("it holds no secret, expected 32 hexadecimal digits a line".into()),
            more if more.len() > MOST_SECRETS => {
                Err(format!("it holds {} secrets, expected at most {MOST_SECRETS}", more.len()))
            }
            [active, others @ ..] => Ok(Self::new(*active, others.to_vec())),
        }
    }

    /// How many there are, at least one.
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// What a cookie is worth at this time, and the words of the one that answers it.
    #[cold]
    #[inline(never)]
    fn renew(&self, offer: Offer, address: Address, now: u32) -> (Cookie, [u64; 3]) {
        let cookie = match offer {
            Offer::Client(_) => Cookie::Client,
            Offer::Foreign(_) => Cookie::Bad,
            Offer::Server([own, head, hash]) => {
                // The reserved octets are hashed as they came (RFC 9018 4.2).
                let made_by = |secret: &Secret| secret.hash(own, head, address) == hash;
                let valid = is_valid(head, now) && (made_by(&self.active) || self.others.iter().any(made_by));
                if valid { Cookie::Valid } else { Cookie::Bad }
            }
        };
        let (own, head) = (offer.client(), fresh(now));
        (cookie, [own, head, self.active.hash(own, head, address)])
    }
}

/// Version 1, reserved zeros and the time.
#[inline(always)]
fn fresh(now: u32) -> u64 {
    1 | u64::from(now.swap_bytes()) << 32
}

/// Seconds since the cookie was made, by the serial number arithmetic of RFC 1982.
#[inline(always)]
fn age(head: u64, now: u32) -> u32 {
    now.wrapping_sub(((head >> 32) as u32).swap_bytes())
}

/// Whether a cookie is of version 1, and neither too old nor too far ahead (RFC 9018 4.3).
fn is_valid(head: u64, now: u32) -> bool {
    head as u8 == 1 && age(head, now).wrapping_add(AHEAD) <= VALID + AHEAD
}

/// Whether a cookie that is valid is answered with itself: it is as one made here would be, and not older than half an hour.
#[inline(always)]
fn is_young(head: u64, now: u32) -> bool {
    head as u32 == 1 && age(head, now).wrapping_add(AHEAD) < RENEWED + AHEAD
}

/// What cookies are judged by: taken from where they are kept when the first query of a batch needs it.
#[derive(Debug)]
pub struct Jar {
    /// The secrets.
    pub secrets: Guard<Arc<Secrets>>,
    /// Seconds since 1970, modulo 2^32.
    pub now: u32,
}

impl Jar {
    /// What a cookie is worth, and the words of the one that answers it: itself while it is young and of the active secret,
    /// or a fresh one.
    #[inline(always)]
    pub(super) fn judge(&self, offer: Offer, client: Client) -> (Cookie, [u64; 3]) {
        let address = client.address();
        // One hash for what nearly every query has: nothing of the server's yet, or what it was given.
        let (own, head, given) = match offer {
            Offer::Client(own) => (own, fresh(self.now), None),
            Offer::Server([own, head, given]) if is_young(head, self.now) => (own, head, Some(given)),
            _ => return self.secrets.renew(offer, address, self.now),
        };
        let hash = self.secrets.active.hash(own, head, address);
        match given {
            None => (Cookie::Client, [own, head, hash]),
            Some(given) if given == hash => (Cookie::Valid, [own, head, hash]),
            Some(_) => self.secrets.renew(offer, address, self.now),
        }
    }
}

/// The option of a response.
#[inline(always)]
pub(super) fn option([client, head, hash]: [u64; 3]) -> [u8; OCTETS] {
    let mut option = [0; OCTETS];
    option[..4].copy_from_slice(&HEAD);
    option[4..12].copy_from_slice(&client.to_le_bytes());
    option[12..20].copy_from_slice(&head.to_le_bytes());
    option[20..].copy_from_slice(&hash.to_le_bytes());
    option
}

/// State of SipHash-2-4 (Aumasson and Bernstein 2012).
struct Sip([u64; 4]);

impl Sip {
    #[inline(always)]
    fn keyed([k0, k1]: [u64; 2]) -> Self {
        Self([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ])
    }

    #[inline(always)]
    fn take(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.round();
        self.0[0] ^= word;
    }

    #[inline(always)]
    fn finish(mut self) -> u64 {
        self.0[2] ^= 0xff;
        (0..4).for_each(|_| self.round());
        let [a, b, c, d] = self.0;
        a ^ b ^ c ^ d
    }

    #[inline(always)]
    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.0;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.0 = [a, b, c, d];
    }
}
