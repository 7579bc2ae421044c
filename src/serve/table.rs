//! The connections of one worker: records in one allocation, in three orders of time.
//!
//! A connection waits (for input or for space), leaves (it is closed by us, and listened to for a moment) or is at its
//! handshake. All that wait have the same time for their next message, and all that leave have the same moment, so that the order in which
//! they were put there is the order in which their time is over: no timer for each, and the first that waits is the one
//! that has completed no message for the longest time.

/// No record.
const NONE: u32 = u32::MAX;

/// Records kept when the last connection is gone; more than that is given back.
const KEPT: usize = 64;

/// Names a connection, for as long as it is in the table and never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// At least 1.
    serial: u32,
    index: u32,
}

/// What a connection is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// For messages, in the order of the last one completed.
    Waiting,
    /// For its end, in the order in which we said so.
    Leaving,
    /// For the end of its handshake, in the order in which it came.
    Shaking,
}

/// Records by token, in their orders.
#[derive(Debug)]
pub(super) struct Table<T> {
    records: Vec<Record<T>>,
    /// The first of the records that hold nothing, chained by `next`.
    free: u32,
    len: usize,
    serial: u32,
    orders: [Ends; 3],
}

#[derive(Debug)]
struct Record<T> {
    serial: u32,
    previous: u32,
    next: u32,
    order: Order,
    /// When it was put at the end of its order.
    since: u64,
    value: Option<T>,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
    count: u32,
}

impl Token {
    /// Of a number that [`Token::number`] made.
    pub(super) fn of(number: u64) -> Self {
        Self { serial: (number >> 32) as u32, index: number as u32 }
    }

    /// At least 2^32, so that smaller numbers can name other things.
    pub(super) fn number(self) -> u64 {
        u64::from(self.serial) << 32 | u64::from(self.index)
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            free: NONE,
            len: 0,
            serial: 0,
            orders: [Ends { first: NONE, last: NONE, count: 0 }; 3],
        }
    }
}

impl<T> Table<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts a connection at the end of those that wait.
    pub(super) fn insert(&mut self, value: T, now: u64) -> Token {
        self.serial = self.serial.wrapping_add(1).max(1);
        let serial = self.serial;
        let record =
            Record { serial, previous: NONE, next: NONE, order: Order::Waiting, since: now, value: Some(value) };
        let index = self.free;
        let index = match self.records.get_mut(index as usize) {
            Some(free) => {
                self.free = free.next;
                *free = record;
                index
            }
            None => {
                self.records.push(record);
                // Less than the descriptors that a process can have.
                (self.records.len() - 1) as u32
            }
        };
        self.len += 1;
        self.link(index);
        Token { serial, index }
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let record = self.records.get_mut(token.index as usize).filter(|record| record.serial == token.serial)?;
        record.value.as_mut()
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        self.get_mut(token)?;
        self.unlink(token.index);
        let record = &mut self.records[token.index as usize];
        let value = record.value.take();
        record.next = self.free;
        self.free = token.index;
        self.len -= 1;
        if self.len == 0 && self.records.capacity() > KEPT {
            self.records = Vec::new();
            self.free = NONE;
        }
        value
    }

    /// Puts a connection at the end of an order.
    pub(super) fn put(&mut self, token: Token, order: Order, now: u64) {
        if self.get_mut(token).is_none() {
            return;
        }
        self.unlink(token.index);
        let record = &mut self.records[token.index as usize];
        record.order = order;
        record.since = now;
        self.link(token.index);
    }

    /// The first of an order, and since when it is there.
    pub(super) fn first(&self, order: Order) -> Option<(Token, u64)> {
        let index = self.orders[order as usize].first;
        let record = self.records.get(index as usize)?;
        Some((Token { serial: record.serial, index }, record.since))
    }

    /// How many are in an order.
    pub(super) fn count(&self, order: Order) -> u32 {
        self.orders[order as usize].count
    }

    /// All connections.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Token, &mut T)> {
        (0..).zip(&mut self.records).filter_map(|(index, record)| {
            let token = Token { serial: record.serial, index };
            Some((token, record.value.as_mut()?))
        })
    }

    /// Octets that the records take, free ones included.
    #[cfg(test)]
    pub(super) fn octets(&self) -> usize {
        self.records.capacity() * size_of::<Record<T>>()
    }

    fn link(&mut self, index: u32) {
        let order = self.records[index as usize].order as usize;
        self.orders[order].count += 1;
        let last = std::mem::replace(&mut self.orders[order].last, index);
        match self.records.get_mut(last as usize) {
            Some(last) => last.next = index,
            None => self.orders[order].first = index,
        }
        let record = &mut self.records[index as usize];
        record.previous = last;
        record.next = NONE;
    }

    fn unlink(&mut self, index: u32) {
        let &Record { previous, next, order, .. } = &self.records[index as usize];
        self.orders[order as usize].count -= 1;
        match self.records.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => self.orders[order as usize].first = next,
        }
        match self.records.get_mut(next as usize) {
            Some(next) => next.previous = previous,
            None => self.orders[order as usize].last = previous,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(table: &mut Table<u8>, order: Order) -> Vec<u8> {
        let mut values = Vec::new();
        while let Some((token, _)) = table.first(order) {
            values.extend(table.remove(token));
        }
        values
    }

    #[test]
    fn the_first_is_the_one_put_there_first() {
        let mut table = Table::default();
        let tokens: Vec<Token> = (0..5).map(|value| table.insert(value, value.into())).collect();
        table.put(tokens[0], Order::Waiting, 10);
        table.put(tokens[3], Order::Leaving, 11);
        table.put(tokens[1], Order::Leaving, 12);
        assert_eq!(table.first(Order::Waiting), Some((tokens[2], 2)));
        assert_eq!(table.first(Order::Leaving), Some((tokens[3], 11)));
        assert_eq!(order(&mut table, Order::Waiting), [2, 4, 0]);
        assert_eq!(order(&mut table, Order::Leaving), [3, 1]);
    }

    #[test]
    fn a_token_is_of_one_connection_only() {
        let mut table = Table::default();
        let first = table.insert(1, 0);
        assert_eq!(table.remove(first), Some(1));
        let second = table.insert(2, 0);
        assert_eq!(first.index, second.index);
        assert!(table.get_mut(first).is_none() && table.remove(first).is_none());
        table.put(first, Order::Leaving, 1);
        assert_eq!(table.first(Order::Leaving), None);
        assert_eq!(table.get_mut(Token::of(second.number())), Some(&mut 2));
        assert!(second.number() > u64::from(u32::MAX));
    }

    #[test]
    fn what_many_connections_took_is_given_back() {
        let mut table = Table::default();
        for _ in 0..3 {
            let tokens: Vec<Token> = (0..10_000).map(|_| table.insert(0_u64, 0)).collect();
            assert!(table.octets() <= 2 * 10_000 * 40);
            tokens.into_iter().for_each(|token| assert!(table.remove(token).is_some()));
            assert!(table.octets() <= KEPT * 40);
        }
    }

    proptest! {
        /// Against a list that is searched.
        #[test]
        fn the_orders_are_those_of_a_plain_list(steps in prop::collection::vec((0..5_u8, 0..8_usize), 0..200)) {
            let mut table = Table::default();
            let mut plain: [Vec<(Token, u8)>; 3] = Default::default();
            for (time, (step, which)) in (0..).zip(steps) {
                let all: Vec<(Token, u8)> = plain.concat();
                let chosen = all.get(which).copied();
                let mut forget = |token| plain.iter_mut().for_each(|order| order.retain(|(other, _)| *other != token));
                match (step, chosen) {
                    (0, _) => {
                        let value = time as u8;
                        plain[0].push((table.insert(value, time), value));
                    }
                    (1, Some((token, value))) => {
                        prop_assert_eq!(table.remove(token), Some(value));
                        forget(token);
                    }
                    (2, Some((token, value))) => {
                        table.put(token, Order::Waiting, time);
                        forget(token);
                        plain[0].push((token, value));
                    }
                    (3, Some((token, value))) => {
                        table.put(token, Order::Leaving, time);
                        forget(token);
                        plain[1].push((token, value));
                    }
                    (4, Some((token, value))) => {
                        table.put(token, Order::Shaking, time);
                        forget(token);
                        plain[2].push((token, value));
                    }
                    _ => {}
                }
                for (order, plain) in [Order::Waiting, Order::Leaving, Order::Shaking].into_iter().zip(&plain) {
                    prop_assert_eq!(table.count(order) as usize, plain.len());
                }
                prop_assert_eq!(table.len(), plain.concat().len());
                prop_assert_eq!(table.iter_mut().count(), table.len());
            }
            let values = |order: &[(Token, u8)]| order.iter().map(|(_, value)| *value).collect::<Vec<_>>();
            prop_assert_eq!(order(&mut table, Order::Waiting), values(&plain[0]));
            prop_assert_eq!(order(&mut table, Order::Leaving), values(&plain[1]));
            prop_assert_eq!(order(&mut table, Order::Shaking), values(&plain[2]));
            prop_assert!(table.is_empty());
        }
    }
}
