//! The metadata server of a file system: one queue, first come, first served.

/// A server with a limited number of operations per second.
pub(crate) struct Metadata {
    rate: f64,
    latency: f64,
    free_at: f64,
}

impl Metadata {
    /// Returns a server of `rate` operations per second. One node waits `latency` seconds for each operation.
    pub(crate) fn new(rate: f64, latency: f64) -> Metadata {
        Metadata { rate, latency, free_at: 0.0 }
    }

    /// Asks for operations at second `now`, one after another. Returns the second at which the last is done.
    pub(crate) fn request(&mut self, now: f64, operations: f64) -> f64 {
        self.free_at = self.free_at.max(now) + operations / self.rate;
        self.free_at.max(now + operations * self.latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_waits_for_the_server_and_a_single_node_for_its_latency() {
        let mut server = Metadata::new(1000.0, 0.01);
        assert_eq!(server.request(0.0, 100.0), 1.0);
        let last = (0..99).map(|_| server.request(0.0, 100.0)).fold(0.0, f64::max);
        assert!((last - 10.0).abs() < 1e-9);
    }
}
