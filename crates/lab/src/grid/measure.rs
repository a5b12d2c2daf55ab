//! A [`UnitMeasurer`] measures the cells of one unit. It compresses the cache for each cell of a batch, reads
//! the scored tokens through all compressed caches at once, and compares the result with the full cache.

use std::{cell::OnceCell, time::Instant};

use bitkv_bitnet::{Cache, Probes};
use bitkv_evict::{Budget, Need, Needs, Plan, Planner, Policy, Role, Shape};
use bitkv_record::{
    AskedBudget, GridRow, KvFormat, MetricGroup, PolicyRole, Positions, RowError, TimingRow, check_row,
};
use bitkv_stats::argmax;
use candle_core::Tensor;

use super::{
    base_rows::BaseRows,
    batch::{QUESTIONS_AT_ONCE, forward},
    deadline::Deadline,
    free_running,
    job::{Cell, Job},
    key, output_error,
    storage::{self, store},
    unit::{QuestionGroup, Scored, Unit},
};
use crate::{
    Error, Result,
    context::Context,
    error::{Refuse as _, bail},
    evictor::Evictor,
    logits::borrow,
    metrics::{self, Comparison, Reference},
    observation::Calibration,
};

/// A unit whose context was read, with everything that its cells share.
pub(super) struct UnitMeasurer<'a> {
    pub(super) job: &'a Job,
    pub(super) unit: &'a Unit,
    pub(super) rows: BaseRows<'a>,
    /// The prefilled context of the unit.
    pub(super) context: &'a Context<'a>,
    pub(super) planner: &'a Planner<'a>,
    pub(super) calibration: &'a Calibration,
    /// The reason why the context could not be repeated, if a policy needs that and it failed.
    pub(super) unrepeatable: Option<String>,
    /// The reason why the entropies of heads could not be measured, if a policy needs them and it failed.
    pub(super) uncalibrated: Option<&'a str>,
    pub(super) shared: SharedResults<'a>,
    /// When the batch that is measured must be ready.
    pub(super) deadline: std::cell::Cell<Deadline>,
}

/// Results of the full cache that cells are compared with. Each is computed when the first cell needs it.
#[derive(Default)]
pub(super) struct SharedResults<'a> {
    /// The predictions of the full cache.
    reference: OnceCell<Reference<'a>>,
    /// Whether the full cache answers each question right.
    answers: OnceCell<Vec<bool>>,
    /// The greedy continuation under the full cache.
    greedy: OnceCell<Vec<u32>>,
    /// The predictions of this form compared with those of the true form, both with the full cache.
    form_comparison: OnceCell<Comparison>,
}

/// Returns the value of `cell`. If it is not yet set, `make` computes it first.
fn get_or_try_init<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}

/// Returns what a job's metrics must record of the continuation under full attention.
pub(super) fn continuation_probes(job: &Job) -> Probes {
    let error = job.wants(MetricGroup::OutputError);
    Probes { qkv: error, attention_output: error, ..Probes::default() }
}

/// The rows of a cell and, if the job is timed, the time that it took.
pub(super) type CellRows = (Vec<GridRow>, Option<TimingRow>);

/// A compressed cache and how it was made.
struct CompressedCache<'a> {
    cache: Cache,
    /// The last plan that was applied.
    plan: Plan,
    /// The budget of every later eviction.
    budget: Budget,
    evictor: Evictor<'a>,
    plan_seconds: f64,
}

impl<'a> UnitMeasurer<'a> {
    /// Measures a batch of cells. Returns for each cell its rows, one per group of questions (a text has one
    /// group), and its timing. A cell that fails gives rows with the error.
    ///
    /// # Errors
    /// Returns an error if nothing was evicted and yet a result changed. Then no number of the run can be
    /// trusted.
    pub(super) fn measure(&self, cells: &[&Cell]) -> Result<Vec<CellRows>> {
        let mut measured = match (self.measure_batch(cells), cells) {
            (Ok(measured), _) => measured,
            (Err(error @ Error::SelfCheck { .. }), [_]) => return Err(error),
            (Err(error), [cell]) => vec![(self.failed_rows(cell, &format!("{error}")), None)],
            // One cell failed. The others must not fail with it, so each cell runs again alone.
            (Err(_), _) => {
                let alone = cells.iter().map(|&cell| self.measure(&[cell]));
                return Ok(alone.collect::<Result<Vec<_>>>()?.concat());
            }
        };
        for (cell, (rows, timing)) in cells.iter().zip(&mut measured) {
            // A row with an impossible value, such as NaN, could not be written, and would end the run.
            if let Err(reason) = rows.iter().try_for_each(check_row) {
                (*rows, *timing) = (self.failed_rows(cell, &impossible(&reason)), None);
            }
            rows.iter().try_for_each(|row| self.self_check(cell, row))?;
        }
        Ok(measured)
    }

    fn measure_batch(&self, cells: &[&Cell]) -> Result<Vec<CellRows>> {
        self.deadline.set(Deadline::new(self.job.cell_seconds, cells.len()));
        let caches = cells.iter().map(|cell| self.compress(cell)).collect::<Result<Vec<_>>>()?;
        let rows: Vec<GridRow> =
            cells.iter().zip(&caches).map(|(cell, compressed)| self.plan_row(cell, compressed)).collect();
        let decode = caches
            .iter()
            .map(|compressed| self.decode_seconds(&compressed.cache))
            .collect::<Result<Vec<_>>>()?;
        let plan_seconds: Vec<f64> = caches.iter().map(|compressed| compressed.plan_seconds).collect();
        let started = Instant::now();
        let rows = match &self.unit.scored {
            Scored::Text { .. } => self.score_text(cells, caches, rows)?,
            Scored::Questions(_) | Scored::Together { .. } => self.score_questions(cells, caches, rows)?,
        };
        let seconds = started.elapsed().as_secs_f64();
        self.check_time()?;
        let timing = |i: usize, rows: &[GridRow]| TimingRow {
            key: rows[0].key.clone(),
            experiment: self.job.experiment.name.clone(),
            model: self.job.loaded.name.clone(),
            policy: rows[0].policy.clone(),
            budget: cells[i].budget,
            axes: cells[i].axes,
            text: self.unit.name.clone(),
            plan_seconds: plan_seconds[i],
            // A timed cell is the only one of its batch.
            continuation_seconds: seconds,
            decode_seconds_per_token: decode[i],
            peak_rss_bytes: bitkv_bytes::peak_resident_bytes(),
            cache_bytes: rows[0].cache_bytes.unwrap_or_default(),
        };
        let timed = self.job.wants(MetricGroup::Timing);
        let with_timing = |(i, rows): (usize, Vec<GridRow>)| {
            let timing = timed.then(|| timing(i, &rows));
            (rows, timing)
        };
        Ok(rows.into_iter().enumerate().map(with_timing).collect())
    }

    /// # Errors
    /// Returns an error if the batch takes too long.
    fn check_time(&self) -> Result<()> {
        self.deadline.get().check()
    }

    /// Computes what later cells share. It takes no time of the cell that needs it first.
    fn without_deadline<T>(&self, make: impl FnOnce() -> T) -> T {
        let (deadline, started) = (self.deadline.take(), Instant::now());
        let made = make();
        self.deadline.set(deadline.later_by(started.elapsed()));
        made
    }

    /// Returns a row with what was kept, but without results.
    fn plan_row(&self, cell: &Cell, compressed: &CompressedCache<'_>) -> GridRow {
        GridRow {
            asked_entries: Some(compressed.plan.asked()),
            kept_entries: Some(compressed.plan.total()),
            cache_bytes: Some(compressed.cache.bytes() as u64),
            plan_hash: Some(key::plan_hash(&compressed.plan)),
            ..self.base_row(cell)
        }
    }

    fn policy(&self, cell: &Cell) -> &'a Policy {
        &self.job.policies[cell.policy].policy
    }

    /// Returns a copy of the context's cache, compressed as the cell says.
    fn compress(&self, cell: &Cell) -> Result<CompressedCache<'a>> {
        self.check_time()?;
        let loaded = self.context.loaded();
        let shape = self.context.shape();
        if let Some(reason) = &self.unrepeatable
            && self.policy(cell).needs().contains(Need::Reconstruction)
        {
            bail!(Unfit, "{reason}");
        }
        if let Some(reason) = self.uncalibrated
            && self.policy(cell).needs().contains(Need::Entropy)
        {
            bail!(Unfit, "{reason}");
        }
        let mut budget = storage::budget(cell.budget, cell.axes.kv, self.job.experiment.equal, shape)?;
        if let AskedBudget::Realised(_, rule) = cell.budget
            && self.policy(cell).conserves()
        {
            let rule = self
                .job
                .rules
                .get(&rule)
                .refuse(Error::Definition, "a rule of the job's budgets is missing")?;
            let realised = self.planner.plan(rule, budget)?;
            budget = Budget::entries(realised.total())?;
        }
        let evictor = Evictor::new(loaded, self.policy(cell), self.calibration, cell.axes.positions);
        let mut compressed = match cell.axes.when.prefill_chunk {
            None => {
                let started = Instant::now();
                let plan = self.planner.plan(self.policy(cell), budget)?;
                let plan_seconds = started.elapsed().as_secs_f64();
                let mut evictor = evictor.with_observation(self.context.observation());
                let cache = evictor.kept_copy(&plan, self.context.cache())?;
                CompressedCache { cache, budget: budget.fixed_for(shape), plan, evictor, plan_seconds }
            }
            Some(_) if !self.unit.lookahead.is_empty() => {
                bail!(
                    Unfit,
                    "a policy can see the question before eviction only if it evicts once: use when = [\"once\"]"
                )
            }
            Some(chunk) => {
                let cache = loaded.model.new_cache();
                chunked_prefill(self.context.tokens(), chunk, budget, evictor, cache, self.deadline.get())?
            }
        };
        store(&mut compressed.cache, cell.axes.kv)?;
        Ok(compressed)
    }

    /// Returns the row of each cell, if the unit is a text.
    fn score_text(
        &self,
        cells: &[&Cell],
        mut caches: Vec<CompressedCache<'a>>,
        mut rows: Vec<GridRow>,
    ) -> Result<Vec<Vec<GridRow>>> {
        let Scored::Text { continuation, targets, bytes } = &self.unit.scored else { return Ok(Vec::new()) };
        for ((cell, compressed), row) in cells.iter().zip(&caches).zip(&mut rows) {
            self.record_attention(cell, compressed, row)?;
        }
        let every = cells.iter().find_map(|cell| cell.axes.when.every);
        if self.job.wants(MetricGroup::FreeRunning) && every.is_none() {
            let full = self.full_greedy()?;
            let copies = caches.iter().map(|compressed| compressed.cache.clone()).collect();
            let runs = free_running::greedy(self.context, copies, self.deadline.get())?;
            for (row, greedy) in rows.iter_mut().zip(&runs) {
                row.first_divergence = Some(metrics::first_difference(full, greedy));
                row.matching_fraction = Some(metrics::matching_fraction(full, greedy));
            }
        }
        let logits = match every {
            Some(every) => self.evict_while_decoding(every, &mut caches, continuation)?,
            None => {
                let caches = caches.into_iter().map(|compressed| compressed.cache).collect();
                self.continue_all(caches, continuation)?
            }
        };
        let reference =
            self.shared.reference.get_or_init(|| Reference::new(self.context.reference(), targets));
        let compared = borrow(&logits, |values| {
            let per_cell: Vec<&[f32]> = values.chunks_exact(values.len() / cells.len()).collect();
            reference.compare(&per_cell)
        })?;
        for (row, compared) in rows.iter_mut().zip(compared) {
            let compared = compared.refuse(
                Error::Unfit,
                "the logits are not finite: the weights are damaged, or the cache format is too coarse",
            )?;
            compared.record(row);
            row.targets = targets.len();
            row.bytes_scored = Some(*bytes);
            row.uniform_nats = Some((self.context.loaded().config().vocab_size as f64).ln());
        }
        self.record_forms(targets, &mut rows)?;
        Ok(rows.into_iter().map(|row| vec![row]).collect())
    }

    /// Records how far the predictions of this form are from those of the true form, both with the full
    /// cache, if the job compares forms.
    fn record_forms(&self, targets: &[u32], rows: &mut [GridRow]) -> Result<()> {
        let Some(truth) = &self.job.truth else { return Ok(()) };
        for row in rows.iter_mut().filter(|row| row.role == PolicyRole::Full) {
            let found = get_or_try_init(&self.shared.form_comparison, || {
                let (tokens, after) = (self.context.tokens(), self.context.continuation());
                let none = Probes::default();
                let other =
                    Context::read(truth, tokens, after, &Needs::default(), &Calibration::new(), &none)?;
                let found =
                    Reference::new(other.reference(), targets).compare(&[self.context.reference().values()]);
                found[0].refuse(
                    Error::Unfit,
                    "the logits of this form are not finite: examine the model with `bitkv doctor`",
                )
            })?;
            (row.form_kl_nats, row.form_agreement) = (Some(found.kl), Some(found.agreement));
        }
        Ok(())
    }

    /// Records how much of the attention of the full cache is lost, if the job asks for it.
    fn record_attention(
        &self,
        cell: &Cell,
        compressed: &CompressedCache<'_>,
        row: &mut GridRow,
    ) -> Result<()> {
        if self.job.wants(MetricGroup::Attention) && cell.axes.when.prefill_chunk.is_none() {
            let (rows, shape) = (self.context.last_query_attention(), self.context.shape());
            let kept = |i: usize| compressed.plan.query_kept(i / shape.query_heads, i % shape.query_heads);
            let kept: Vec<&[u32]> = (0..rows.len()).map(kept).collect();
            row.attention_cosine = Some(metrics::attention_cosine(rows, &kept));
            row.retained_mass = Some(metrics::retained_mass(rows, &kept));
        }
        if self.job.wants(MetricGroup::OutputError) && cell.axes.positions == Positions::Original {
            row.output_error = Some(output_error::relative(self.context, &compressed.cache)?);
        }
        Ok(())
    }

    /// Reads the continuation through all caches at once. Returns the logits after each of its tokens, cache
    /// by cache, `[caches * continuation, vocabulary]`.
    fn continue_all(&self, mut caches: Vec<Cache>, continuation: &[u32]) -> Result<Tensor> {
        self.check_time()?;
        let model = &self.context.loaded().model;
        let hidden = forward(model, &vec![continuation; caches.len()], &mut caches)?;
        drop(caches);
        Ok(model.logits(&hidden)?)
    }

    /// Reads the continuation through all caches, and evicts from each of them after every `every` tokens.
    /// Returns the logits in the same shape as [`UnitMeasurer::continue_all`].
    fn evict_while_decoding(
        &self,
        every: usize,
        caches: &mut [CompressedCache<'a>],
        continuation: &[u32],
    ) -> Result<Tensor> {
        let model = &self.context.loaded().model;
        let mut logits = Vec::new();
        for CompressedCache { cache, budget, evictor, .. } in caches {
            for block in continuation.chunks(every) {
                self.check_time()?;
                let (output, observation) = evictor.read(block, cache)?;
                logits.push(model.logits(&output.hidden)?);
                evictor.evict(&observation, *budget, cache)?;
            }
        }
        Ok(Tensor::cat(&logits, 0)?)
    }

    /// Returns the rows of each cell, one per group of questions, if the unit has questions.
    fn score_questions(
        &self,
        cells: &[&Cell],
        caches: Vec<CompressedCache<'_>>,
        rows: Vec<GridRow>,
    ) -> Result<Vec<Vec<GridRow>>> {
        let (caches, plans): (Vec<Cache>, Vec<Plan>) =
            caches.into_iter().map(|compressed| (compressed.cache, compressed.plan)).unzip();
        let right_answers = match &self.unit.scored {
            Scored::Together { continuation, answers } => self.ask_together(caches, continuation, answers)?,
            _ => self.ask_alone(&caches.iter().collect::<Vec<_>>())?,
        };
        let cell_rows = |(((cell, right), row), plan): (((&&Cell, Vec<bool>), GridRow), &Plan)| {
            if self.keeps_everything(cell) {
                let full = self.full_answers()?;
                if right != *full {
                    let (policy, text) = (row.policy.clone(), row.text.clone());
                    return Err(Error::SelfCheck { policy, text, found: "gives other answers".into() });
                }
            }
            let group_row = |group: &QuestionGroup| {
                let mut row = self.rows.group_row(cell, group, &row);
                record_answers(group, &right, plan, &mut row);
                row
            };
            Ok(self.unit.groups.iter().map(group_row).collect())
        };
        cells.iter().zip(right_answers).zip(rows).zip(&plans).map(cell_rows).collect()
    }

    /// Asks each question of a copy of each cache. Returns whether the answers are right,
    /// `[caches][questions]`.
    fn ask_alone(&self, caches: &[&Cache]) -> Result<Vec<Vec<bool>>> {
        let Scored::Questions(questions) = &self.unit.scored else { return Ok(Vec::new()) };
        let model = &self.context.loaded().model;
        let all: Vec<_> =
            caches.iter().flat_map(|&cache| questions.iter().map(move |q| (cache, q))).collect();
        let mut right = Vec::new();
        for batch in all.chunks(QUESTIONS_AT_ONCE) {
            self.check_time()?;
            let asked: Vec<Vec<u32>> = batch.iter().map(|(_, question)| question.asked()).collect();
            let tokens: Vec<&[u32]> = asked.iter().map(Vec::as_slice).collect();
            let mut caches: Vec<Cache> = batch.iter().map(|&(cache, _)| cache.clone()).collect();
            let logits = model.logits(&forward(model, &tokens, &mut caches)?)?;
            let best = |row: &[f32]| argmax(row).unwrap_or(usize::MAX);
            let classes = logits.dim(1)?;
            let predicted: Vec<usize> =
                borrow(&logits, |values| values.chunks_exact(classes).map(best).collect())?;
            let mut predicted = predicted.into_iter();
            for ((_, question), tokens) in batch.iter().zip(&asked) {
                let predictions: Vec<usize> = predicted.by_ref().take(tokens.len()).collect();
                right.push(question.correct(&predictions));
            }
        }
        // Not `chunks_exact`, which panics if there are no questions.
        let cache_answers = |i: usize| right[i * questions.len()..(i + 1) * questions.len()].to_vec();
        Ok((0..caches.len()).map(cache_answers).collect())
    }

    /// Asks all questions in one continuation of each cache. Returns whether the answers are right,
    /// `[caches][questions]`.
    fn ask_together(
        &self,
        caches: Vec<Cache>,
        continuation: &[u32],
        answers: &[(usize, u32)],
    ) -> Result<Vec<Vec<bool>>> {
        let count = caches.len();
        let logits = self.continue_all(caches, continuation)?;
        let classes = logits.dim(1)?;
        borrow(&logits, |values| {
            let per_cache = values.chunks_exact(values.len() / count);
            per_cache.map(|rows| right_answers(rows, classes, answers)).collect()
        })
    }

    /// Returns whether the full cache answers each question right.
    fn full_answers(&self) -> Result<&Vec<bool>> {
        get_or_try_init(&self.shared.answers, || match &self.unit.scored {
            Scored::Together { answers, .. } => {
                let reference = self.context.reference();
                Ok(right_answers(reference.values(), reference.classes(), answers))
            }
            _ => Ok(self.without_deadline(|| self.ask_alone(&[self.context.cache()]))?.concat()),
        })
    }

    /// Returns the greedy continuation under the full cache.
    fn full_greedy(&self) -> Result<&Vec<u32>> {
        get_or_try_init(&self.shared.greedy, || {
            let cache = vec![self.context.cache().clone()];
            let greedy = || free_running::greedy(self.context, cache, Deadline::default());
            Ok(self.without_deadline(greedy)?.concat())
        })
    }

    /// Returns the seconds that decoding one token takes; `None` unless the job is timed.
    fn decode_seconds(&self, cache: &Cache) -> Result<Option<f64>> {
        if self.job.wants(MetricGroup::Timing) {
            free_running::decode_seconds(self.context.loaded(), cache).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Returns the row of a cell without results.
    fn base_row(&self, cell: &Cell) -> GridRow {
        self.with_context(self.rows.row(cell))
    }

    /// Returns the row with the size of the context, which includes the questions that a policy may see.
    fn with_context(&self, row: GridRow) -> GridRow {
        let shape = self.context.shape();
        GridRow {
            context_tokens: shape.tokens,
            full_entries: Some(shape.all_kv_heads() * shape.tokens),
            full_bytes: Some(self.context.full_bytes()),
            ..row
        }
    }

    /// Returns the rows of a cell that failed.
    fn failed_rows(&self, cell: &Cell, error: &str) -> Vec<GridRow> {
        let rows = self.rows.failed(cell, error).into_iter();
        rows.map(|row| self.with_context(row)).collect()
    }

    /// Returns whether the cell evicts nothing and quantises nothing.
    fn keeps_everything(&self, cell: &Cell) -> bool {
        let policy = self.policy(cell);
        let whole = policy.conserves() || policy.role() == Role::Full;
        whole && cell.budget == AskedBudget::FULL && cell.axes.kv == KvFormat::F16
    }

    /// Returns an error if the cell keeps everything and yet the predictions differ from those of the full
    /// cache.
    fn self_check(&self, cell: &Cell, row: &GridRow) -> Result<()> {
        let exact = row.kl_nats.is_none_or(|kl| kl == 0.0) && row.agreement.is_none_or(|part| part == 1.0);
        if exact || !self.keeps_everything(cell) || row.error.is_some() {
            return Ok(());
        }
        let found = format!("has a KL of {:?} and an agreement of {:?}", row.kl_nats, row.agreement);
        Err(Error::SelfCheck { policy: row.policy.clone(), text: row.text.clone(), found })
    }
}

/// Returns the sentence about a cell whose row has an impossible value.
fn impossible(reason: &RowError) -> String {
    match reason {
        RowError::NotFinite { .. } | RowError::OutOfRange { .. } => format!(
            "{reason}: a value overflows in this model, so examine it with `bitkv doctor` or `bitkv trace`"
        ),
        _ => format!("{reason}: the policy or its plan is defective"),
    }
}

/// Returns whether each answer is the most likely token at the index where it must be predicted. `rows` are
/// logits, `[tokens * classes]`.
fn right_answers(rows: &[f32], classes: usize, answers: &[(usize, u32)]) -> Vec<bool> {
    let right = |&(at, answer): &(usize, u32)| {
        argmax(&rows[at * classes..(at + 1) * classes]) == Some(answer as usize)
    };
    answers.iter().map(right).collect()
}

/// Records which answers of a group are right, and how much of them in the context the plan keeps. `right` is
/// `[questions of the unit]`.
fn record_answers(group: &QuestionGroup, right: &[bool], plan: &Plan, row: &mut GridRow) {
    let digit = |&question: &usize| if right[question] { '1' } else { '0' };
    row.correct = Some(group.questions.iter().filter(|&&question| right[question]).count());
    row.answers = Some(group.questions.iter().map(digit).collect());
    if !group.answer_positions.is_empty() {
        let kept: Vec<&[u32]> = plan.kept_by_head().collect();
        row.answer_evicted = Some(metrics::answer_evicted(&kept, &group.answer_positions));
        row.answer_heads = Some(metrics::answer_heads(&kept, &group.answer_positions));
    }
}

/// Reads a context in chunks and evicts after each, so that later chunks see only what earlier evictions
/// kept. The cache never holds more than the budget of the whole context plus one chunk.
fn chunked_prefill<'a>(
    tokens: &[u32],
    chunk: usize,
    budget: Budget,
    mut evictor: Evictor<'a>,
    mut cache: Cache,
    deadline: Deadline,
) -> Result<CompressedCache<'a>> {
    let (mut plan, mut plan_seconds, mut budget) = (None, 0.0, budget);
    for part in tokens.chunks(chunk) {
        deadline.check()?;
        let (_, observation) = evictor.read(part, &mut cache)?;
        let started = Instant::now();
        budget = budget.fixed_for(Shape { tokens: tokens.len(), ..observation.shape() });
        plan = Some(evictor.evict(&observation, budget, &mut cache)?);
        plan_seconds += started.elapsed().as_secs_f64();
    }
    let plan = plan.ok_or_else(|| Error::Unfit("the context is empty".into()))?;
    Ok(CompressedCache { cache, plan, budget, evictor, plan_seconds })
}
