//! Evaluation: bits per byte on held-out text, and accuracy of the tasks by distance.

use serde::Serialize;

use crate::{
    Result,
    corpus::Corpus,
    model::{Batch, Model},
    ops::Precision,
    tasks::{TrainingSequence, TrainingTask, UNSCORED, Words},
};
use bitkv_stats::Rng;

/// The number of sequences that are evaluated at a time.
const BATCH: usize = 8;
/// The largest distance of each distance class, in tokens.
pub const DISTANCES: [usize; 6] = [16, 32, 64, 128, 256, 512];

/// The number of right answers in one distance class.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Accuracy {
    /// The number of scored answers.
    pub asked: usize,
    /// The number of right answers.
    pub right: usize,
}

impl Accuracy {
    /// Returns the fraction of right answers; `None` if there were no answers.
    pub fn rate(&self) -> Option<f64> {
        (self.asked > 0).then(|| self.right as f64 / self.asked as f64)
    }

    fn add(&mut self, right: bool) {
        self.asked += 1;
        self.right += right as usize;
    }
}

/// Joins sequences of equal length into a batch.
pub fn to_batch(sequences: &[TrainingSequence]) -> Batch {
    Batch {
        length: sequences.first().map_or(0, |s| s.tokens.len()),
        tokens: sequences.iter().flat_map(|s| s.tokens.iter().copied()).collect(),
        targets: sequences.iter().flat_map(|s| s.targets.iter().copied()).collect(),
    }
}

/// Returns the bits per byte on `windows` held-out windows of `length` tokens.
///
/// # Errors
/// Fails if candle cannot run the model.
pub fn bits_per_byte(
    model: &Model,
    corpus: &Corpus,
    precision: Precision,
    windows: usize,
    length: usize,
) -> Result<f64> {
    let (mut nats, mut bytes) = (0.0, 0u64);
    for sequences in corpus.validation_windows(windows, length).chunks(BATCH) {
        let batch = to_batch(sequences);
        let (_, scores) = model.loss(&batch, precision, false)?;
        nats += scores.nll.iter().map(|&v| v as f64).sum::<f64>();
        bytes += batch.targets.iter().map(|&t| corpus.token_bytes[t as usize] as u64).sum::<u64>();
    }
    Ok(nats / std::f64::consts::LN_2 / bytes as f64)
}

/// Returns the accuracy of the task `kind` for each of [`DISTANCES`], over `count` sequences per class.
///
/// # Errors
/// Fails if candle cannot run the model.
pub fn task_accuracy(
    model: &Model,
    words: &Words,
    precision: Precision,
    kind: TrainingTask,
    count: usize,
) -> Result<Vec<Accuracy>> {
    let mut rng = Rng::new(0xE7A1 + kind as u64);
    let mut by_distance = vec![Accuracy::default(); DISTANCES.len()];
    for (class, &longest) in DISTANCES.iter().enumerate() {
        let length = (3 * longest).div_ceil(32).clamp(3, model.shape.max_positions / 32) * 32;
        if longest >= length {
            continue;
        }
        let sequences: Vec<TrainingSequence> = (0..count)
            .map(|_| match kind {
                TrainingTask::Recall => words.recall(&mut rng, length, longest),
                _ => words.copy(&mut rng, length, (longest / 2 + 1).max(4), longest),
            })
            .collect();
        for sequences in sequences.chunks(BATCH) {
            let (_, scores) = model.loss(&to_batch(sequences), precision, false)?;
            tally(sequences, &scores.prediction, |distance, right| {
                if DISTANCES.iter().position(|&d| distance <= d) == Some(class) {
                    by_distance[class].add(right);
                }
            });
        }
    }
    Ok(by_distance)
}

/// Calls `each` for every scored answer of a task. Its arguments are the distance of the answer, in tokens,
/// and whether the prediction was right.
pub(crate) fn tally(sequences: &[TrainingSequence], predictions: &[u32], mut each: impl FnMut(usize, bool)) {
    let mut predictions = predictions.iter();
    for sequence in sequences {
        for ((&target, &distance), &prediction) in
            sequence.targets.iter().zip(&sequence.distances).zip(predictions.by_ref())
        {
            if target != UNSCORED && distance > 0 {
                each(distance as usize, prediction == target);
            }
        }
    }
}
