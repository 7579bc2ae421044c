//! Values of AMQP 1.0's type system (part 1), as far as a probe looks into them.

use super::Octets;

/// Most values of a list and most symbols of an array; no performative has more.
const MAX_VALUES: u32 = 64;

/// A value that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// None.
    Null,
    /// An unsigned number of one octet.
    Octet(u8),
    /// A string or a symbol.
    Text(&'a [u8]),
    /// An array of symbols.
    Texts(Vec<&'a [u8]>),
    /// A described value: the descriptor, if it is a number of one octet, and what is to be read as the value.
    Described(u8, Octets<'a>),
    /// One of which a probe has no use.
    Other,
}

/// The next value.
///
/// A described value takes all that is left: where it stands among other values, [`list`] has cut it out.
pub(super) fn read<'a>(octets: &mut Octets<'a>) -> Option<Value<'a>> {
    let constructor = octets.u8()?;
    if constructor == 0x00 {
        let descriptor = described_by(octets)?;
        let value = Octets(octets.take(octets.len())?);
        return Some(Value::Described(descriptor, value));
    }
    let content = content(constructor, octets)?;
    Some(match (constructor, content) {
        (0x40, _) => Value::Null,
        (0x50, [octet]) => Value::Octet(*octet),
        (0xa1 | 0xa3 | 0xb1 | 0xb3, text) => Value::Text(text),
        (0xe0 | 0xf0, array) => match symbols(constructor, Octets(array)) {
            Some(symbols) => Value::Texts(symbols),
            None => Value::Other,
        },
        _ => Value::Other,
    })
}

/// The values of the list that comes next (1.6.22).
pub(super) fn list<'a>(octets: &mut Octets<'a>) -> Option<Vec<Value<'a>>> {
    let (count, mut content) = match octets.u8()? {
        0x45 => return Some(Vec::new()),
        0xc0 => {
            let mut content = Octets(content(0xc0, octets)?);
            (u32::from(content.u8()?), content)
        }
        0xd0 => {
            let mut content = Octets(content(0xd0, octets)?);
            (content.u32()?, content)
        }
        _ => return None,
    };
    if count > MAX_VALUES {
        return None;
    }
    let mut values = Vec::new();
    for _ in 0..count {
        values.push(read(&mut Octets(whole(&mut content)?))?);
    }
    Some(values)
}

/// The octets of the next value with its constructor, and with its descriptor if it has one.
fn whole<'a>(octets: &mut Octets<'a>) -> Option<&'a [u8]> {
    let start = *octets;
    let mut constructor = octets.u8()?;
    if constructor == 0x00 {
        // A descriptor is a value that is not described itself.
        let descriptor = octets.u8()?;
        content(descriptor, octets)?;
        constructor = octets.u8()?;
    }
    content(constructor, octets)?;
    start.0.get(..start.len() - octets.len())
}

/// The content of a value behind this constructor (1.2.2), without a size.
fn content<'a>(constructor: u8, octets: &mut Octets<'a>) -> Option<&'a [u8]> {
    let width = match constructor >> 4 {
        0x4 => 0,
        0x5 => 1,
        0x6 => 2,
        0x7 => 4,
        0x8 => 8,
        0x9 => 16,
        0xa | 0xc | 0xe => usize::from(octets.u8()?),
        0xb | 0xd | 0xf => octets.u32()? as usize,
        _ => return None,
    };
    octets.take(width)
}

/// The descriptor of a performative, as a number of one octet; 0 for one that no performative has.
fn described_by(octets: &mut Octets<'_>) -> Option<u8> {
    let constructor = octets.u8()?;
    Some(match (constructor, content(constructor, octets)?) {
        (0x53, [code]) | (0x80, [0, 0, 0, 0, 0, 0, 0, code]) => *code,
        (0xa3 | 0xb3, b"amqp:open:list") => super::OPEN,
        (0xa3 | 0xb3, b"amqp:close:list") => super::CLOSE,
        (0xa3 | 0xb3, b"amqp:error:list") => super::ERROR,
        (0xa3 | 0xb3, b"amqp:sasl-mechanisms:list") => super::MECHANISMS,
        (0xa3 | 0xb3, b"amqp:sasl-challenge:list") => super::CHALLENGE,
        (0xa3 | 0xb3, b"amqp:sasl-outcome:list") => super::OUTCOME,
        _ => 0,
    })
}

/// The entries of an array of symbols (1.6.24).
fn symbols<'a>(constructor: u8, mut array: Octets<'a>) -> Option<Vec<&'a [u8]>> {
    let count = if constructor == 0xe0 { u32::from(array.u8()?) } else { array.u32()? };
    let symbol = array.u8().filter(|symbol| matches!(symbol, 0xa3 | 0xb3))?;
    if count > MAX_VALUES {
        return None;
    }
    (0..count).map(|_| content(symbol, &mut array)).collect()
}
