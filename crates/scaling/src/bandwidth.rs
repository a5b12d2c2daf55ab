//! The bandwidth of a file system that all transfers share evenly.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::time::Time;

/// Transfers in progress. All have the same rate: that of a node's link, or an even share of the file system
/// if that is less.
///
/// Because all rates are equal, one clock of bytes serves all transfers: it advances by the bytes that each
/// of them has moved, and a transfer ends when the clock has advanced by its size.
pub(crate) struct Bandwidth {
    total: f64,
    of_a_node: f64,
    now: f64,
    moved: f64,
    active: usize,
    ends: BinaryHeap<Reverse<(Time, usize, u32)>>,
}

impl Bandwidth {
    /// Returns a file system of `total` bytes per second for nodes of `of_a_node` bytes per second.
    pub(crate) fn new(total: f64, of_a_node: f64) -> Bandwidth {
        Bandwidth { total, of_a_node, now: 0.0, moved: 0.0, active: 0, ends: BinaryHeap::new() }
    }

    fn rate(&self) -> f64 {
        self.of_a_node.min(self.total / self.active.max(1) as f64)
    }

    fn advance(&mut self, now: f64) {
        if self.active > 0 {
            self.moved += (now - self.now) * self.rate();
        }
        self.now = now;
    }

    /// Starts a transfer of `bytes` bytes at second `now`. The attempt distinguishes transfers of one node.
    pub(crate) fn start(&mut self, now: f64, node: usize, attempt: u32, bytes: f64) {
        self.advance(now);
        self.active += 1;
        self.ends.push(Reverse((Time(self.moved + bytes), node, attempt)));
    }

    /// Ends a transfer whose node failed at second `now`.
    pub(crate) fn abort(&mut self, now: f64, node: usize, attempt: u32) {
        self.advance(now);
        let before = self.ends.len();
        self.ends.retain(|Reverse((_, n, a))| (*n, *a) != (node, attempt));
        self.active -= before - self.ends.len();
    }

    /// Returns the second at which the next transfer ends.
    pub(crate) fn next_end(&self) -> Option<f64> {
        let Reverse((end, ..)) = self.ends.peek()?;
        Some(self.now + (end.0 - self.moved).max(0.0) / self.rate())
    }

    /// Ends the transfer that ends next, and returns its node.
    pub(crate) fn finish(&mut self, now: f64) -> Option<usize> {
        self.advance(now);
        let Reverse((end, node, _)) = self.ends.pop()?;
        self.moved = self.moved.max(end.0);
        self.active -= 1;
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_share_the_file_system_evenly() {
        let mut shared = Bandwidth::new(10.0, 8.0);
        shared.start(0.0, 0, 0, 50.0);
        shared.start(0.0, 1, 0, 100.0);
        assert_eq!(shared.next_end(), Some(10.0));
        assert_eq!(shared.finish(10.0), Some(0));
        // The other has 50 bytes left, and now only its node limits it.
        assert_eq!(shared.next_end(), Some(16.25));
    }

    #[test]
    fn a_transfer_of_a_failed_node_leaves_its_share_to_others() {
        let mut shared = Bandwidth::new(10.0, 8.0);
        shared.start(0.0, 0, 0, 50.0);
        shared.start(0.0, 1, 0, 90.0);
        shared.abort(2.0, 0, 0);
        assert_eq!(shared.next_end(), Some(12.0));
        assert_eq!(shared.finish(12.0), Some(1));
        assert_eq!(shared.next_end(), None);
    }
}
