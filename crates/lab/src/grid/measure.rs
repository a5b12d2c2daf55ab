//! A [`UnitMeasurer`] measures the cells of one unit. It compresses the cache for each cell of a batch, reads
//! the scored tokens through all compressed caches at once, and compares the result with the full cache.

use std::{cell::OnceCell, time::Instant};

use bitkv_bitnet::{Cache, Probes};
use bitkv_evict::{Budget, Need, Needs, Plan, Planner, Policy, Role, Shape};
use bitkv_record::{
    Arithmetic, AskedBudget, Form, GridRow, KvFormat, Metric, PolicyRole, Positions, TimingRow, WeightKind,
    one_line,
};
use bitkv_stats::argmax;
use candle_core::Tensor;

use super::{
    batch::{QUESTIONS_AT_ONCE, forward},
    evictor::{Evictor, store},
    free_running, key,
    key::UnitKeys,
    output_error,
    plan::{Cell, Job},
    storage,
    unit::{Group, Scored, Unit},
};
use crate::{
    Error, Result,
    context::Context,
    error::{Refuse as _, bail},
    logits::borrow,
    metrics::{self, Compared, Reference},
    observation::Calibration,
    registry::recorded,
};

/// A unit with everything that its cells share.
pub(super) struct Reader<'a> {
    pub(super) job: &'a Job,
    pub(super) unit: &'a Unit,
    pub(super) keys: UnitKeys,
    /// The prefilled context of the unit.
    pub(super) context: &'a Context<'a>,
    pub(super) planner: &'a Planner<'a>,
    pub(super) numbers: &'a Calibration,
    /// Why the context could not be repeated, where a policy wants it to be.
    pub(super) unrepeatable: Option<String>,
    pub(super) shared: Shared<'a>,
}

/// Results of the full cache that cells are compared with. Each is computed when the first cell needs it.
#[derive(Default)]
pub(super) struct Shared<'a> {
    /// What the uncut cache predicts.
    reference: OnceCell<Reference<'a>>,
    /// Whether the full cache answers each question right.
    answers: OnceCell<Vec<bool>>,
    /// The greedy continuation under the full cache.
    free: OnceCell<Vec<u32>>,
    /// What this form predicts beside the true one, both with the full cache.
    beside_truth: OnceCell<Compared>,
}

/// The value of a cell, made now if it has none.
fn once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}

/// What a job must see of the continuation under full attention.
pub(super) fn dense(job: &Job) -> Probes {
    let error = job.wants(Metric::OutputError);
    Probes { qkv: error, attention_output: error, ..Probes::default() }
}

/// Rows of a cell and what it took.
pub(super) type Measured = (Vec<GridRow>, Option<TimingRow>);

/// A cut cache and how it was made.
struct Cut<'a> {
    cache: Cache,
    /// The last plan that was applied.
    plan: Plan,
    /// The budget of every later eviction.
    budget: Budget,
    evictor: Evictor<'a>,
    plan_seconds: f64,
}

impl<'a> Reader<'a> {
    /// Measures cells that are run together: of each a row for every group of questions, of which a text has one, and
    /// what it took. A cell that fails gives rows that say why.
    ///
    /// # Errors
    /// When nothing was evicted and yet something changed: then no number of the run can be trusted.
    pub(super) fn measure(&self, cells: &[&Cell]) -> Result<Vec<Measured>> {
        let measured = match (self.measured(cells), cells) {
            (Ok(measured), _) => measured,
            (Err(error @ Error::SelfCheck { .. }), [_]) => return Err(error),
            (Err(error), [cell]) => vec![(self.failed(cell, &format!("{error}")), None)],
            // One of them failed, and the others must not fail with it.
            (Err(_), _) => {
                let alone = cells.iter().map(|&cell| self.measure(&[cell]));
                return Ok(alone.collect::<Result<Vec<_>>>()?.concat());
            }
        };
        for (cell, (rows, _)) in cells.iter().zip(&measured) {
            rows.iter().try_for_each(|row| self.self_check(cell, row))?;
        }
        Ok(measured)
    }

    fn measured(&self, cells: &[&Cell]) -> Result<Vec<Measured>> {
        let cuts = cells.iter().map(|cell| self.cut(cell)).collect::<Result<Vec<_>>>()?;
        let rows: Vec<GridRow> = cells.iter().zip(&cuts).map(|(cell, cut)| self.planned(cell, cut)).collect();
        let decode = cuts.iter().map(|cut| self.decode_seconds(&cut.cache)).collect::<Result<Vec<_>>>()?;
        let plan_seconds: Vec<f64> = cuts.iter().map(|cut| cut.plan_seconds).collect();
        let started = Instant::now();
        let rows = match &self.unit.scored {
            Scored::Text { .. } => self.texts(cells, cuts, rows)?,
            Scored::Questions(_) | Scored::Together { .. } => self.questions(cells, cuts, rows)?,
        };
        let seconds = started.elapsed().as_secs_f64();
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
        let timed = self.job.wants(Metric::Timing);
        let one = |(i, rows): (usize, Vec<GridRow>)| {
            let timing = timed.then(|| timing(i, &rows));
            (rows, timing)
        };
        Ok(rows.into_iter().enumerate().map(one).collect())
    }

    /// A row that says what was cut.
    fn planned(&self, cell: &Cell, cut: &Cut<'_>) -> GridRow {
        GridRow {
            asked_entries: Some(cut.plan.asked()),
            kept_entries: Some(cut.plan.total()),
            cache_bytes: Some(cut.cache.bytes() as u64),
            plan_hash: Some(key::plan_hash(&cut.plan)),
            ..self.blank(cell)
        }
    }

    fn policy(&self, cell: &Cell) -> &'a Policy {
        &self.job.policies[cell.policy].policy
    }

    /// Reads and cuts the context as the cell says.
    fn cut(&self, cell: &Cell) -> Result<Cut<'a>> {
        let loaded = self.context.loaded();
        let shape = self.context.shape();
        if let Some(reason) = &self.unrepeatable
            && self.policy(cell).needs().contains(Need::Reconstruction)
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
                .refuse(Error::Definition, "a rule of the job's budgets was not read")?;
            let realised = self.planner.plan(rule, budget)?;
            budget = Budget::entries(realised.total())?;
        }
        let evictor = Evictor::new(loaded, self.policy(cell), self.numbers, cell.axes.positions);
        let mut cut = match cell.axes.when.prefill_chunk {
            None => {
                let started = Instant::now();
                let plan = self.planner.plan(self.policy(cell), budget)?;
                let plan_seconds = started.elapsed().as_secs_f64();
                let mut evictor = evictor.with_past(self.context.observation());
                let cache = evictor.kept(&plan, self.context.cache())?;
                Cut { cache, budget: cap(budget, shape)?, plan, evictor, plan_seconds }
            }
            Some(_) if !self.unit.lookahead.is_empty() => {
                bail!(
                    Unfit,
                    "a question is seen before the eviction only where that happens once: use when = [\"once\"]"
                )
            }
            Some(chunk) => chunked(self.context.tokens(), chunk, budget, evictor, loaded.model.new_cache())?,
        };
        store(&mut cut.cache, cell.axes.kv)?;
        Ok(cut)
    }

    /// The row of each cell of a text.
    fn texts(
        &self,
        cells: &[&Cell],
        mut cuts: Vec<Cut<'a>>,
        mut rows: Vec<GridRow>,
    ) -> Result<Vec<Vec<GridRow>>> {
        let Scored::Text { continuation, targets, bytes } = &self.unit.scored else { return Ok(Vec::new()) };
        for ((cell, cut), row) in cells.iter().zip(&cuts).zip(&mut rows) {
            self.attended(cell, cut, row)?;
        }
        let every = cells.iter().find_map(|cell| cell.axes.when.every);
        if self.job.wants(Metric::FreeRunning) && every.is_none() {
            let full = self.full_run()?;
            let runs =
                free_running::greedy(self.context, cuts.iter().map(|cut| cut.cache.clone()).collect())?;
            for (row, free) in rows.iter_mut().zip(&runs) {
                row.first_divergence = Some(metrics::first_difference(full, free));
                row.matching_fraction = Some(metrics::matching_fraction(full, free));
            }
        }
        let logits = match every {
            Some(every) => self.evict_while_decoding(every, &mut cuts, continuation)?,
            None => self.go_on(cuts, continuation)?,
        };
        let reference =
            self.shared.reference.get_or_init(|| Reference::new(self.context.reference(), targets));
        let compared = borrow(&logits, |values| {
            let of_each: Vec<&[f32]> = values.chunks_exact(values.len() / cells.len()).collect();
            reference.compare(&of_each)
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
            let found = once(&self.shared.beside_truth, || {
                let (tokens, after) = (self.context.tokens(), self.context.continuation());
                let none = Probes::default();
                let other =
                    Context::read(truth, tokens, after, &Needs::default(), &Calibration::new(), &none)?;
                let found =
                    Reference::new(other.reference(), targets).compare(&[self.context.reference().values()]);
                found[0].refuse(
                    Error::Unfit,
                    "the logits of a form are not finite: examine it with `bitkv doctor`",
                )
            })?;
            (row.form_kl_nats, row.form_agreement) = (Some(found.kl), Some(found.agreement));
        }
        Ok(())
    }

    /// What a cut takes from attention itself, where that is wanted.
    fn attended(&self, cell: &Cell, cut: &Cut<'_>, row: &mut GridRow) -> Result<()> {
        if self.job.wants(Metric::Attention) && cell.axes.when.prefill_chunk.is_none() {
            let (rows, shape) = (self.context.last_rows(), self.context.shape());
            let kept = |i: usize| cut.plan.query_kept(i / shape.query_heads, i % shape.query_heads);
            let kept: Vec<&[u32]> = (0..rows.len()).map(kept).collect();
            row.attention_cosine = Some(metrics::attention_cosine(rows, &kept));
            row.retained_mass = Some(metrics::retained_mass(rows, &kept));
        }
        if self.job.wants(Metric::OutputError) && cell.axes.positions == Positions::Original {
            row.output_error = Some(output_error::relative(self.context, &cut.cache)?);
        }
        Ok(())
    }

    /// Logits after each token of the continuation, read through one cut cache after another.
    fn go_on(&self, cuts: Vec<Cut<'_>>, continuation: &[u32]) -> Result<Tensor> {
        let model = &self.context.loaded().model;
        let mut caches: Vec<Cache> = cuts.into_iter().map(|cut| cut.cache).collect();
        let hidden = forward(model, &vec![continuation; caches.len()], &mut caches)?;
        drop(caches);
        Ok(model.logits(&hidden)?)
    }

    /// Reads the continuation through all caches, and evicts from each of them after every `every` tokens.
    /// Returns the logits in the same shape as [`UnitMeasurer::continue_all`].
    fn evict_while_decoding(
        &self,
        every: usize,
        cuts: &mut [Cut<'a>],
        continuation: &[u32],
    ) -> Result<Tensor> {
        let model = &self.context.loaded().model;
        let mut logits = Vec::new();
        for cut in cuts {
            for block in continuation.chunks(every) {
                let (output, observation) = cut.evictor.read(block, &mut cut.cache)?;
                logits.push(model.logits(&output.hidden)?);
                cut.evictor.cut(&observation, cut.budget, &mut cut.cache)?;
            }
        }
        Ok(Tensor::cat(&logits, 0)?)
    }

    /// The rows of each cell of questions.
    fn questions(
        &self,
        cells: &[&Cell],
        cuts: Vec<Cut<'_>>,
        rows: Vec<GridRow>,
    ) -> Result<Vec<Vec<GridRow>>> {
        let answered = match &self.unit.scored {
            Scored::Together { continuation, answers } => {
                self.answered_together(cuts, continuation, answers)?
            }
            _ => self.answered(&cuts.iter().map(|cut| &cut.cache).collect::<Vec<_>>())?,
        };
        let of_cell = |((cell, right), row): ((&&Cell, Vec<bool>), GridRow)| {
            if self.is_untouched(cell) {
                let full = self.full_answers()?;
                if right != *full {
                    let (policy, text) = (row.policy.clone(), row.text.clone());
                    return Err(Error::SelfCheck { policy, text, found: "answers otherwise".into() });
                }
            }
            let of_group = |group: &Group| GridRow {
                correct: Some(group.questions.iter().filter(|&&question| right[question]).count()),
                ..self.of_group(cell, group, &row)
            };
            Ok(self.unit.groups.iter().map(of_group).collect())
        };
        cells.iter().zip(answered).zip(rows).map(of_cell).collect()
    }

    /// Whether each question is answered right from a copy of each cache.
    fn answered(&self, caches: &[&Cache]) -> Result<Vec<Vec<bool>>> {
        let Scored::Questions(questions) = &self.unit.scored else { return Ok(Vec::new()) };
        let model = &self.context.loaded().model;
        let all: Vec<_> =
            caches.iter().flat_map(|&cache| questions.iter().map(move |q| (cache, q))).collect();
        let mut right = Vec::new();
        for batch in all.chunks(QUESTIONS_AT_ONCE) {
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
        // An empty list of questions has no chunks.
        let of_cache = |i: usize| right[i * questions.len()..(i + 1) * questions.len()].to_vec();
        Ok((0..caches.len()).map(of_cache).collect())
    }

    /// The same of questions that are all asked in one continuation.
    fn answered_together(
        &self,
        cuts: Vec<Cut<'_>>,
        continuation: &[u32],
        answers: &[(usize, u32)],
    ) -> Result<Vec<Vec<bool>>> {
        let caches = cuts.len();
        let logits = self.go_on(cuts, continuation)?;
        let classes = logits.dim(1)?;
        borrow(&logits, |values| {
            let of_each = values.chunks_exact(values.len() / caches);
            of_each.map(|rows| predicted(rows, classes, answers)).collect()
        })
    }

    /// Returns whether the full cache answers each question right.
    fn full_answers(&self) -> Result<&Vec<bool>> {
        once(&self.shared.answers, || match &self.unit.scored {
            Scored::Together { answers, .. } => {
                let reference = self.context.reference();
                Ok(predicted(reference.values(), reference.classes(), answers))
            }
            _ => Ok(self.answered(&[self.context.cache()])?.concat()),
        })
    }

    fn full_run(&self) -> Result<&Vec<u32>> {
        once(&self.shared.free, || {
            Ok(free_running::greedy(self.context, vec![self.context.cache().clone()])?.concat())
        })
    }

    /// Returns the seconds that decoding one token takes; `None` unless the job is timed.
    fn decode_seconds(&self, cache: &Cache) -> Result<Option<f64>> {
        match self.job.wants(Metric::Timing) {
            true => free_running::decode_seconds(self.context.loaded(), cache).map(Some),
            false => Ok(None),
        }
    }

    /// A row that says what it is of and nothing more.
    fn blank(&self, cell: &Cell) -> GridRow {
        let (job, seeded, shape) = (self.job, &self.job.policies[cell.policy], self.context.shape());
        let group = &self.unit.groups[0];
        let policy = &seeded.policy;
        GridRow {
            key: self.keys.row(job, cell, group),
            experiment: job.experiment.name.clone(),
            model: job.loaded.name.clone(),
            weights: Some(WeightKind::Ternary),
            arithmetic: Some(if job.form == Form::True { Arithmetic::Int8 } else { Arithmetic::F32 }),
            isa: Some(key::isa_class()),
            policy: policy.spec().to_owned(),
            written: seeded.written.clone(),
            role: recorded(policy.role()),
            oracle: policy.is_oracle(),
            conserving: policy.conserves(),
            guard: policy
                .guard()
                .map_or_else(String::new, |g| format!("sinks={} recent={}", g.sinks, g.recent)),
            budget: cell.budget,
            axes: cell.axes,
            seed: seeded.seed,
            task: self.unit.task,
            text: self.unit.name.clone(),
            register: self.unit.register.clone(),
            context_tokens: shape.tokens,
            full_entries: Some(shape.all_kv_heads() * shape.tokens),
            full_bytes: Some(self.context.full_bytes()),
            depth: group.depth,
            ..GridRow::default()
        }
    }

    fn failed(&self, cell: &Cell, error: &str) -> Vec<GridRow> {
        let row = GridRow { error: Some(one_line(error)), ..self.blank(cell) };
        self.unit.groups.iter().map(|group| self.of_group(cell, group, &row)).collect()
    }

    /// The row of one group of questions, from what all groups of a cell share.
    fn of_group(&self, cell: &Cell, group: &Group, shared: &GridRow) -> GridRow {
        GridRow {
            key: self.keys.row(self.job, cell, group),
            questions: group.questions.len(),
            chance: group.chance,
            depth: group.depth,
            ..shared.clone()
        }
    }

    /// Whether nothing was evicted and nothing rounded.
    fn is_untouched(&self, cell: &Cell) -> bool {
        let policy = self.policy(cell);
        let whole = policy.conserves() || policy.role() == Role::Full;
        whole && cell.budget == AskedBudget::FULL && cell.axes.kv == KvFormat::F16
    }

    /// Returns an error if the cell keeps everything and yet the predictions differ from those of the full
    /// cache.
    fn self_check(&self, cell: &Cell, row: &GridRow) -> Result<()> {
        let exact = row.kl_nats.is_none_or(|kl| kl == 0.0) && row.agreement.is_none_or(|part| part == 1.0);
        if exact || !self.is_untouched(cell) || row.error.is_some() {
            return Ok(());
        }
        let found = format!("has a KL of {:?} and an agreement of {:?}", row.kl_nats, row.agreement);
        Err(Error::SelfCheck { policy: row.policy.clone(), text: row.text.clone(), found })
    }
}

/// Whether each answer is the most likely token where it is to be predicted.
fn predicted(rows: &[f32], classes: usize, answers: &[(usize, u32)]) -> Vec<bool> {
    let right = |&(at, answer): &(usize, u32)| {
        argmax(&rows[at * classes..(at + 1) * classes]) == Some(answer as usize)
    };
    answers.iter().map(right).collect()
}

/// What a cache is cut down to again and again: the entries that the budget keeps of the whole context, whatever comes
/// after it. A budget of everything never cuts.
fn cap(budget: Budget, whole: Shape) -> Result<Budget> {
    if budget.is_full() { Ok(budget) } else { Ok(Budget::entries(budget.total(whole))?) }
}

/// Reads a context in chunks and cuts after each, so that later chunks see only what earlier cuts left. The cache never
/// holds more than the budget of the whole context and a chunk.
fn chunked<'a>(
    tokens: &[u32],
    chunk: usize,
    budget: Budget,
    mut evictor: Evictor<'a>,
    mut cache: Cache,
) -> Result<Cut<'a>> {
    let (mut plan, mut plan_seconds, mut budget) = (None, 0.0, budget);
    for part in tokens.chunks(chunk) {
        let (_, observation) = evictor.read(part, &mut cache)?;
        let started = Instant::now();
        budget = cap(budget, Shape { tokens: tokens.len(), ..observation.shape() })?;
        plan = Some(evictor.cut(&observation, budget, &mut cache)?);
        plan_seconds += started.elapsed().as_secs_f64();
    }
    let plan = plan.ok_or_else(|| Error::Unfit("the context is empty".into()))?;
    Ok(Cut { cache, plan, budget, evictor, plan_seconds })
}
