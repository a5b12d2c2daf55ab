//! The allocator `duo`.

use serde::{Deserialize, Serialize};

use crate::{Allocator, Division, Guard, Need, Observation, Reason, checks};

/// How retrieval heads are found.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RetrievalSource {
    /// The heads with the highest scores in a pattern file.
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
        pub by: RetrievalSource = RetrievalSource::Pattern,
        /// The number of first tokens that a streaming head has room for.
        pub sinks: usize = 64,
        /// The number of last tokens that a streaming head has room for.
        pub recent: usize = 256,
        /// The number of last queries that are read with `by='measured'`.
        pub window: usize = 32 => checks::window,
    }
    check Duo::has_room;
    needs(self) match self.by {
        RetrievalSource::Pattern => [Need::HeadPattern],
        RetrievalSource::Measured => [Need::Window(self.window)],
    };
    "duo" from "Xiao et al. 2024 (DuoAttention), arXiv:2410.10819",
    "Gives all tokens to retrieval heads, and sinks and recent tokens to the other heads.",
    formula: "`sinks` + `recent` tokens in every head; then all tokens to the heads with the highest retrieval scores, as \
         far as the budget reaches.",
    differences: "The paper has a whole number of retrieval heads and finds them by training gates. \
         `by='measured'` reads the attention of the last `w` queries instead of a pattern file. If `n` is \
         below `sinks` + `recent`, this allocator is `uniform`, and with `recency` it keeps sinks and \
         recent tokens in proportion (if the guard has at least as many sinks): patterns and measurements \
         then have no effect."
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
        let retrieval = self.retrieval_scores(division.observation);
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
        checks::within(1.., "a streaming head needs room for at least one token")(&(self.sinks + self.recent))
    }

    /// Returns the retrieval score of each KV head, `[layers * kv_heads]`.
    fn retrieval_scores(&self, observation: &Observation<'_>) -> Vec<f64> {
        match self.by {
            RetrievalSource::Pattern => observation.numbers(Need::HeadPattern).to_vec(),
            RetrievalSource::Measured => (0..observation.shape.all_kv_heads())
                .map(|head| self.far_attention(observation, head))
                .collect(),
        }
    }

    /// Returns the fraction of a KV head's attention that falls on tokens that are neither sinks nor recent.
    fn far_attention(&self, observation: &Observation<'_>, head: usize) -> f64 {
        let group = observation.shape.group();
        let (positions, tokens) = (observation.held_positions(head), observation.shape.tokens);
        let is_near = |position: usize| position < self.sinks || position + self.recent >= tokens;
        let (mut far, mut all) = (0.0, 0.0);
        for row in &observation.rows(Need::Window(self.window))[head * group..(head + 1) * group] {
            for (&position, &a) in positions.iter().zip(*row) {
                all += f64::from(a);
                far += if is_near(position as usize) { 0.0 } else { f64::from(a) };
            }
        }
        if all > 0.0 { far / all } else { 0.0 }
    }
}
