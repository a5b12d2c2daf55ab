//! The machine room: nodes, their delays and failures, and the file system that they share.

use crate::units;

/// What a cluster is like. Every number is an assumption of a projection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cluster {
    /// Cores of a node.
    pub cores: f64,
    /// The mean seconds until the queue starts a node; they are exponential.
    pub queue_seconds: f64,
    /// The standard deviation of the logarithm of a node's slow-down.
    pub slowdown_deviation: f64,
    /// The share of nodes with a heavy tail: their slow-down is also multiplied by a Pareto number.
    pub tail_share: f64,
    /// The exponent of the Pareto number. It begins at 1.5 and ends at 10.
    pub tail_exponent: f64,
    /// The mean hours between failures of a node, preemptions included.
    pub hours_between_failures: f64,
    /// Seconds from a failure until the shard runs again.
    pub requeue_seconds: f64,
    /// The standard deviation of the logarithm of the error of estimated costs.
    pub estimate_deviation: f64,
    /// Metadata operations per second of the file system.
    pub metadata_rate: f64,
    /// Seconds of one metadata operation of one node. A node waits for each before the next.
    pub metadata_latency: f64,
    /// Bytes per second of the file system, shared by all nodes.
    pub bandwidth: f64,
    /// Bytes per second of one node.
    pub node_bandwidth: f64,
    /// Bytes that snapshots may occupy.
    pub snapshot_capacity: f64,
    /// The shards for each node. A node takes the next shard when it has finished one.
    pub shards_per_node: usize,
    /// Seconds over which starts are spread on purpose.
    pub stagger_seconds: f64,
    /// Whether nodes have the weights on a disk of their own.
    pub local_weights: bool,
}

/// The cluster of the projections.
pub const TYPICAL: Cluster = Cluster {
    cores: 64.0,
    queue_seconds: 60.0,
    slowdown_deviation: 0.1,
    tail_share: 0.01,
    tail_exponent: 2.0,
    hours_between_failures: 720.0,
    requeue_seconds: 300.0,
    estimate_deviation: 0.15,
    metadata_rate: 10_000.0,
    metadata_latency: 0.5e-3,
    bandwidth: 20e9,
    node_bandwidth: 2.5e9,
    snapshot_capacity: 50e12,
    shards_per_node: 1,
    stagger_seconds: 0.0,
    local_weights: false,
};

impl Cluster {
    /// Returns the assumptions as pairs of a name and a value, for the documentation.
    pub fn assumptions(&self) -> Vec<(&'static str, String)> {
        vec![
            ("cores of a node", format!("{}", self.cores)),
            ("time in the queue", format!("exponential, mean {} s", self.queue_seconds)),
            ("slow-down of a node", format!("log-normal, deviation {}", self.slowdown_deviation)),
            (
                "heavy tail",
                format!(
                    "{} % of nodes, times a Pareto number of exponent {} from 1.5 to 10",
                    100.0 * self.tail_share,
                    self.tail_exponent
                ),
            ),
            (
                "time between failures of a node",
                format!("exponential, mean {} h", self.hours_between_failures),
            ),
            ("time until a failed shard runs again", format!("{} s", self.requeue_seconds)),
            ("error of estimated costs", format!("log-normal, deviation {}", self.estimate_deviation)),
            (
                "metadata operations of the file system",
                format!("{} a second", units::digits(self.metadata_rate)),
            ),
            ("one metadata operation of one node", format!("{} ms", 1e3 * self.metadata_latency)),
            ("shards for each node", self.shards_per_node.to_string()),
            ("bandwidth of the file system", format!("{} GB/s", self.bandwidth / 1e9)),
            ("bandwidth of a node", format!("{} GB/s", self.node_bandwidth / 1e9)),
            ("space for snapshots", format!("{} TB", self.snapshot_capacity / 1e12)),
        ]
    }
}
