//! The training loop, which runs the stages, writes checkpoints and the log, and reports progress.

use std::{
    fs::TryLockError,
    path::{Path, PathBuf},
    time::Instant,
};

use bitkv_bytes::disk::{self, DiskFile};
use bitkv_progress::{Progress, Work};
use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    checkpoint::{self, Inputs, Position},
    corpus::Corpus,
    evaluate::{bits_per_byte, tally, to_batch},
    model::Model,
    ops::Precision,
    optimizer::Optimizer,
    recipe::{Recipe, Stage},
    tasks::{TrainingSequence, TrainingTask, UNSCORED, Words},
};
use bitkv_stats::Rng;

/// The name of the log in the folder of a run.
pub(crate) const LOG: &str = "log.csv";
/// The number of steps over which the learning rate rises at the start of a run.
const WARMUP: usize = 100;
/// The number of steps between rows of the log.
const LOG_EVERY: usize = 20;
/// The weight of the old value when a running accuracy is updated.
const MEMORY: f64 = 0.95;
/// The number of tokens of one forward and backward pass. The temporaries of so few tokens fit the CPU cache,
/// and the allocator reuses their memory.
pub(crate) const MICRO_BATCH: usize = 2048;
/// The number of held-out windows of a validation during training.
const WINDOWS: usize = 32;

/// One row of `log.csv`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LogRow {
    /// The number of steps that were run.
    pub step: usize,
    /// The number of tokens that were trained on.
    pub tokens: u64,
    /// The index of the stage, from 0.
    pub stage: usize,
    /// The mean loss of the batch, in nats per scored token.
    pub loss: f64,
    /// The running accuracy of the copy task, 0 to 1.
    pub copy_accuracy: f64,
    /// The running accuracy of the recall task, 0 to 1.
    pub recall_accuracy: f64,
    /// The learning rate.
    pub rate: f32,
    /// The norm of the gradient before clipping.
    pub gradient_norm: f32,
    /// Tokens per second since the run was started or resumed.
    pub tokens_per_second: f64,
    /// Bits per byte on held-out text, if it was measured at this step.
    pub valid_bits_per_byte: Option<f64>,
}

/// A training run and the folder that it writes to.
pub struct Trainer<'a> {
    recipe: &'a Recipe,
    corpus: &'a Corpus,
    words: Words,
    precision: Precision,
    folder: PathBuf,
    model: Model,
    optimizer: Optimizer,
    position: Position,
    log: csv::Writer<DiskFile>,
    /// No other process can train in the folder while this file is open.
    _lock: DiskFile,
}

impl<'a> Trainer<'a> {
    /// Starts a run in `folder`, or resumes the run that is there.
    ///
    /// # Errors
    /// Fails if the corpus is too small for the recipe, or if the folder holds another run or damaged files.
    /// A run resumes only with the same recipe, texts and data.
    pub fn open(
        recipe: &'a Recipe,
        corpus: &'a Corpus,
        folder: &Path,
        precision: Precision,
    ) -> Result<Trainer<'a>> {
        disk::create_folders(folder).map_err(Error::creating(folder))?;
        let lock = lock(folder)?;
        corpus.check_length(recipe.shape.max_positions)?;
        let model = Model::new(&recipe.shape, &recipe.start, recipe.seed)?;
        let inputs = Inputs { recipe, data: &corpus.hashes, precision };
        let (optimizer, position) = match checkpoint::load(folder, inputs, &model)? {
            Some(found) => found,
            None => (Optimizer::new(&model)?, Position::default()),
        };
        let log = open_log(&folder.join(LOG), position.step)?;
        let words = Words::new(&corpus.tokenizer)?;
        let folder = folder.to_owned();
        Ok(Trainer { recipe, corpus, words, precision, folder, model, optimizer, position, log, _lock: lock })
    }

    /// The model, with the weights after the last step.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The progress of the run.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Trains to the end of the last stage, or for at most `steps` steps.
    ///
    /// # Errors
    /// Fails if the gradient is not finite, or if a file cannot be written. If `progress` cancels the work,
    /// the run is saved after the current step, and the error is [`Error::Cancelled`].
    pub fn run(&mut self, steps: Option<usize>, progress: &dyn Progress) -> Result<()> {
        let work = Work::resumed(progress, "training", self.recipe.steps(), self.position.step);
        let last = steps.map_or(usize::MAX, |n| self.position.step.saturating_add(n));
        let (started, tokens) = (Instant::now(), self.position.tokens);
        while let Some(stage) = self.recipe.stages.get(self.position.stage) {
            if self.position.step >= last {
                break;
            }
            let before = Instant::now();
            let mut row = self.step(stage)?;
            self.position.seconds += before.elapsed().as_secs_f64();
            row.tokens_per_second = (self.position.tokens - tokens) as f64 / started.elapsed().as_secs_f64();
            work.describe(&format!(
                "stage {} loss {:.3} copy {:.2} recall {:.2} {:.0} tokens/s",
                row.stage, row.loss, row.copy_accuracy, row.recall_accuracy, row.tokens_per_second
            ));
            work.reach(self.position.step as u64);
            self.write_log_row(row)?;
            self.advance(stage);
            if work.is_cancelled() {
                self.save()?;
                return Err(Error::Cancelled);
            }
            if self.position.step.is_multiple_of(self.recipe.checkpoint_every) {
                self.save()?;
            }
        }
        self.save()?;
        work.finish();
        Ok(())
    }

    /// Runs one step and returns its row of the log.
    fn step(&mut self, stage: &Stage) -> Result<LogRow> {
        let sequences = self.next_batch(stage);
        let (loss, predictions) = self.accumulate_gradient(&sequences)?;
        let rate = self.learning_rate(stage);
        let norm = self.optimizer.step(&self.model, rate, stage.decay)?;
        self.update_accuracies(&sequences, &predictions);
        self.position.step += 1;
        self.position.stage_step += 1;
        self.position.tokens += predictions.len() as u64;
        Ok(LogRow {
            step: self.position.step,
            tokens: self.position.tokens,
            stage: self.position.stage,
            loss,
            copy_accuracy: self.position.copy,
            recall_accuracy: self.position.recall,
            rate,
            gradient_norm: norm,
            tokens_per_second: 0.0,
            valid_bits_per_byte: None,
        })
    }

    /// Accumulates the gradient of the mean loss over all scored tokens, a few sequences at a time. Returns
    /// this loss, in nats, and the predicted token of each position.
    fn accumulate_gradient(&mut self, sequences: &[TrainingSequence]) -> Result<(f64, Vec<u32>)> {
        let scored =
            |s: &[TrainingSequence]| s.iter().flat_map(|s| &s.targets).filter(|&&t| t != UNSCORED).count();
        let total = scored(sequences).max(1) as f64;
        let (mut mean, mut predictions) = (0.0, Vec::new());
        for sequences in sequences.chunks((MICRO_BATCH / sequences[0].tokens.len()).max(1)) {
            let (loss, scores) = self.model.loss(&to_batch(sequences), self.precision, true)?;
            let loss = (loss * (scored(sequences) as f64 / total))?;
            self.optimizer.accumulate(&self.model, &loss.backward()?)?;
            mean += loss.to_scalar::<f32>()? as f64;
            predictions.extend(scores.prediction);
        }
        Ok((mean, predictions))
    }

    /// Returns the batch of the next step. It is the same for every model with the same data seed.
    fn next_batch(&self, stage: &Stage) -> Vec<TrainingSequence> {
        let mut rng = Rng::for_part(self.recipe.data_seed, self.position.step as u64);
        let words = self.words.first_words(stage.alphabet);
        let draw = |_| {
            let kind = rng.unit();
            if kind >= stage.synthetic {
                self.corpus.random_window(&mut rng, stage.length)
            } else if kind < stage.synthetic / 2.0 {
                words.copy(&mut rng, stage.length, 4, stage.distance)
            } else {
                words.recall(&mut rng, stage.length, stage.distance)
            }
        };
        (0..stage.batch).map(draw).collect()
    }

    /// Returns the learning rate of the next step.
    fn learning_rate(&self, stage: &Stage) -> f32 {
        let part = self.position.stage_step as f32 / stage.steps as f32;
        let warmup = ((self.position.step + 1) as f32 / WARMUP as f32).min(1.0);
        (stage.rate[0] + (stage.rate[1] - stage.rate[0]) * part) * warmup
    }

    /// Updates the running accuracies of the tasks.
    fn update_accuracies(&mut self, sequences: &[TrainingSequence], predictions: &[u32]) {
        let length = sequences[0].tokens.len();
        for kind in [TrainingTask::Copy, TrainingTask::Recall] {
            let (mut right, mut asked) = (0, 0);
            for (i, sequence) in sequences.iter().enumerate().filter(|(_, s)| s.kind == kind) {
                tally(std::slice::from_ref(sequence), &predictions[i * length..], |_, hit| {
                    asked += 1;
                    right += hit as usize;
                });
            }
            let running =
                if kind == TrainingTask::Copy { &mut self.position.copy } else { &mut self.position.recall };
            if asked > 0 {
                *running = MEMORY * *running + (1.0 - MEMORY) * right as f64 / asked as f64;
            }
        }
    }

    /// Moves to the next stage if this one has no steps left, or if both running accuracies exceed its gate.
    fn advance(&mut self, stage: &Stage) {
        let passed = stage.gate.is_some_and(|gate| self.position.copy.min(self.position.recall) > gate);
        if passed || self.position.stage_step >= stage.steps {
            self.position.stage += 1;
            self.position.stage_step = 0;
        }
    }

    /// If a validation is due after this step, measures the bits per byte on held-out text. If a row of the
    /// log is due, writes it.
    fn write_log_row(&mut self, mut row: LogRow) -> Result<()> {
        if row.step.is_multiple_of(self.recipe.validate_every) {
            let length = 256.min(self.recipe.shape.max_positions);
            row.valid_bits_per_byte =
                Some(bits_per_byte(&self.model, self.corpus, self.precision, WINDOWS, length)?);
        }
        if row.step.is_multiple_of(LOG_EVERY) || row.valid_bits_per_byte.is_some() {
            let path = self.folder.join(LOG);
            self.log.serialize(row).map_err(Error::writing(&path))?;
            self.log.flush().map_err(Error::writing(path))?;
        }
        Ok(())
    }

    fn save(&self) -> Result<()> {
        let inputs = Inputs { recipe: self.recipe, data: &self.corpus.hashes, precision: self.precision };
        checkpoint::save(&self.folder, inputs, &self.model, &self.optimizer, &self.position)
    }
}

/// Locks the folder of a run for this process. The lock ends with the process.
fn lock(folder: &Path) -> Result<DiskFile> {
    let path = folder.join(".lock");
    let file = DiskFile::append(&path).map_err(Error::writing(path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: folder.to_owned() }),
        // A file system without locks protects nothing.
        _ => Ok(file),
    }
}

/// Opens the log for appending. Rows of steps after `step` are removed, because a resumed run repeats these
/// steps.
fn open_log(path: &Path, step: usize) -> Result<csv::Writer<DiskFile>> {
    let mut rows: Vec<LogRow> = Vec::new();
    if path.exists() {
        let damaged = |source| Error::DamagedLog { path: path.into(), source };
        let mut bytes = bitkv_bytes::read_regular_bytes(path).map_err(Error::reading(path))?;
        // A process that was killed may have written a part of its last line.
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        let found = csv::Reader::from_reader(&bytes[..]).into_deserialize();
        rows = found.collect::<std::result::Result<_, _>>().map_err(damaged)?;
    }
    rows.retain(|row| row.step <= step);
    let mut kept = csv::Writer::from_writer(Vec::new());
    rows.iter().try_for_each(|row| kept.serialize(row)).map_err(Error::writing(path))?;
    let kept = kept.into_inner().map_err(|error| Error::writing(path)(error.into_error()))?;
    bitkv_bytes::write(path, &kept).map_err(Error::writing(path))?;
    let file = DiskFile::append(path).map_err(Error::writing(path))?;
    Ok(csv::WriterBuilder::new().has_headers(rows.is_empty()).from_writer(file))
}
