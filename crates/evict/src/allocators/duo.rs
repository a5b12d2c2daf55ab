//! The allocator `duo`.

use serde::{Deserialize, Serialize};

use crate::{Allocator, Division, Guard, Need, Observation, Reason, checks};

/// How retrieval heads are found.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// A pattern file.
    Pattern,
    /// The heads with the highest fraction of the last queries' attention on tokens that are neither sinks
    /// nor recent.
    Measured,
}

method! {
    /// Every head gets room for sinks and recent tokens. Then the heads with the highest retrieval scores
    /// keep all tokens that they hold, one head after the other, until the budget is spent.
    ///
    /// The original has a whole number of retrieval heads; here the last of them keeps the rest of the
    /// budget. If the budget is too small for the sinks and recent tokens of all heads, it is divided evenly.
    /// If the guard also asks for at least as many sinks as a streaming head has room for, the number of
    /// sinks is lowered in proportion to the share.
    pub struct Duo {
        /// How retrieval heads are found.
        pub by: By = By::Pattern,
        /// First tokens that a streaming head has room for.
        pub sinks: usize = 64,
        /// The number of last tokens that a streaming head has room for.
        pub recent: usize = 256,
        /// The number of last queries that are read with `by='measured'`.
        pub window: usize = 32 => checks::window,
    }
    check Duo::has_room;
    needs(self) match self.by {
        By::Pattern => [Need::HeadPattern],
        By::Measured => [Need::Window(self.window)],
    };
    "duo" from "Xiao et al. 2024 (DuoAttention), arXiv:2410.10819",
    "everything to heads for retrieval, sinks and recent tokens to others",
    formula: "`sinks` + `recent`; then all for the heads most for retrieval, as far as the budget goes",
    differences: "a whole number of such heads there, gates found by training; `by='measured'` reads \
         attention of the last `w` instead of a pattern file. Where `n` is below `sinks` + `recent` it \
         is `uniform`, with `recency` sinks and recent tokens in proportion (if the guard's sinks are \
         at least its own): patterns and measurements then say nothing"
}

impl Allocator for Duo {
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
    fn has_room(&self) -> Result<(), Reason> {
        checks::within(1.., "a streaming head has room for at least one token")(&(self.sinks + self.recent))
    }

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
