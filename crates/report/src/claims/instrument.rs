//! What must be true of a model before a claim about it means anything.

use super::{Cells, percent};
use bitkv_record::{GridRow, PolicyRole, ScoredTask};

impl Cells<'_> {
    /// The first check that the model fails as a predictor of text: it must be better than guessing.
    pub(super) fn failing_prediction(&self) -> Option<String> {
        let texts = self.full(|row| row.task == ScoredTask::TEXT);
        let excess: Vec<f64> =
            texts.iter().filter_map(|row| Some(row.nll_nats? - row.uniform_nats?)).collect();
        let uniform = texts.iter().find_map(|row| row.uniform_nats)?;
        let found = self.interval(&excess);
        (found.high >= 0.0).then(|| {
            format!(
                "its text costs {:.2} nats a token and guessing {uniform:.2}, so that it predicts no better than that",
                found.mean + uniform
            )
        })
    }

    /// The first check that the model fails as an instrument of compression: it predicts text, answers questions about
    /// its context, and random choice of what is kept changes it.
    pub(super) fn failing_check(&self) -> Option<String> {
        self.failing_prediction().or_else(|| self.failing_recall()).or_else(|| self.failing_control())
    }

    /// With the full cache, answers must be better than chance by their interval.
    fn failing_recall(&self) -> Option<String> {
        let asked = self.full(|row| row.questions > 0);
        let right = |row: &&GridRow| Some(row.correct? as f64 / row.questions as f64);
        let shares: Vec<f64> = asked.iter().filter_map(right).collect();
        let chance: Vec<f64> = asked.iter().filter_map(|row| row.chance).collect();
        let chance = chance.iter().sum::<f64>() / chance.len().max(1) as f64;
        let found = self.interval(&shares);
        (!shares.is_empty() && found.low <= chance).then(|| {
            format!(
                "with the full cache {} of the answers are right and {} by chance, so that nothing can be forgotten",
                percent(found.mean),
                percent(chance)
            )
        })
    }

    /// At the smallest budget random choice must change something.
    fn failing_control(&self) -> Option<String> {
        let random =
            self.rows.iter().filter(|row| row.role == PolicyRole::Control && row.task == ScoredTask::TEXT);
        let random = random.filter(|row| row.policy.contains("+random"));
        let kept = |row: &GridRow| Some(row.kept_entries? as f64 / row.full_entries? as f64);
        let least = random.clone().filter_map(|row| kept(row)).fold(f64::INFINITY, f64::min);
        let at = random.filter(|row| kept(row).is_some_and(|part| part <= least + 1e-9));
        let kl: Vec<f64> = at.filter_map(|row| row.kl_nats).collect();
        let found = self.interval(&kl);
        (!kl.is_empty() && found.low <= 0.0).then(|| {
            format!(
                "a random choice that keeps {} of the cache changes nothing (KL {:.2e} nats), so that no policy can be better",
                percent(least),
                found.mean
            )
        })
    }

    /// Rows of the full cache.
    fn full(&self, wanted: impl Fn(&GridRow) -> bool) -> Vec<&GridRow> {
        self.rows.iter().copied().filter(|row| row.role == PolicyRole::Full && wanted(row)).collect()
    }
}
