use serde::{Deserialize, Serialize};

use super::{Allocator, Division};
use crate::{Guard, Need, Needs, Observation, options::Options, registry::Method};

/// By what heads for retrieval are told.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum By {
    /// A pattern file.
    #[default]
    Pattern,
    /// How much of the last queries' attention falls on neither sinks nor recent tokens.
    Measured,
}

/// Every head has room for sinks and recent tokens; then the heads that are most for retrieval
/// keep all that they hold, one after the other, as long as the budget lasts. The original
/// has a whole number of such heads; here the last of them keeps what is left. A budget too
/// small for all sinks and recent tokens is divided evenly, and if the guard keeps as many sinks
/// as a streaming head has room for, they shrink in proportion to the share.
#[derive(Debug, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Duo {
    by: By,
    /// First tokens that a streaming head has room for.
    sinks: usize,
    /// Last tokens that a streaming head has room for.
    recent: usize,
    /// How many of the last queries are asked, if it is measured.
    window: usize,
}

impl Default for Duo {
    fn default() -> Duo {
        Duo { by: By::Pattern, sinks: 64, recent: 256, window: 32 }
    }
}

impl Options for Duo {
    fn check(&self) -> Result<(), String> {
        if self.window == 0 {
            return Err("a window has at least one query".into());
        }
        if self.sinks + self.recent == 0 {
            return Err("a streaming head has room for at least one token".into());
        }
        Ok(())
    }
}

impl Method for Duo {
    const NAME: &'static str = "duo";
    const SOURCE: &'static str = "Xiao et al. 2024 (DuoAttention), arXiv:2410.10819";
    const DESCRIPTION: &'static str = "everything to heads for retrieval, sinks and recent tokens to others";
}

impl Allocator for Duo {
    fn needs(&self) -> Needs {
        match self.by {
            By::Pattern => [Need::HeadPattern].into(),
            By::Measured => [Need::Window(self.window)].into(),
        }
    }

    fn fit(&self, guard: Guard, share: usize) -> Guard {
        let room = self.sinks.saturating_add(self.recent);
        if guard.sinks < self.sinks || share >= room {
            return guard.within(share);
        }
        Guard { sinks: share.saturating_mul(self.sinks) / room, ..guard }.within(share)
    }

    fn weigh(&self, division: &Division<'_>) -> Vec<f64> {
        let held: Vec<usize> = division.scores.iter().map(Vec::len).collect();
        let mut counts: Vec<usize> = held.iter().map(|&held| held.min(self.sinks + self.recent)).collect();
        let retrieval = self.retrieval(division.observation);
        let mut order: Vec<usize> = (0..held.len()).collect();
        order.sort_by(|&a, &b| retrieval[b].total_cmp(&retrieval[a]));
        let mut left = division.total.saturating_sub(counts.iter().sum());
        for head in order {
            let more = left.min(held[head] - counts[head]);
            counts[head] += more;
            left -= more;
        }
        counts.into_iter().map(|count| count as f64).collect()
    }
}

impl Duo {
    /// How much each KV head is one for retrieval.
    fn retrieval(&self, seen: &Observation<'_>) -> Vec<f64> {
        match self.by {
            By::Pattern => seen.numbers(Need::HeadPattern).to_vec(),
            By::Measured => (0..seen.shape.all_kv_heads()).map(|head| self.far(seen, head)).collect(),
        }
    }

    /// The part of a KV head's attention that falls on neither sinks nor recent tokens.
    fn far(&self, seen: &Observation<'_>, head: usize) -> f64 {
        let group = seen.shape.group();
        let (positions, tokens) = (seen.held_positions(head), seen.shape.tokens);
        let near = |position: usize| position < self.sinks || position + self.recent >= tokens;
        let (mut far, mut all) = (0.0, 0.0);
        for row in &seen.rows(Need::Window(self.window))[head * group..(head + 1) * group] {
            for (&position, &a) in positions.iter().zip(*row) {
                all += f64::from(a);
                far += if near(position as usize) { 0.0 } else { f64::from(a) };
            }
        }
        if all > 0.0 { far / all } else { 0.0 }
    }
}
