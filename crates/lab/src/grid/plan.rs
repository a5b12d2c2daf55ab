//! What a definition asks to be measured, checked before anything is computed.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bitkv_checkpoint::codec::i2s::Layout;
use bitkv_evict::{Need, Needs, Policy, Registry, Role};
use bitkv_models::{LoadedModel, Loading, Source, configuration, suite};
use bitkv_progress::{Progress, Silent};
use bitkv_record::{
    AskedBudget, Axes, AxisLists, Calibration, Definition, Experiment, FileHash, Form, Metric, ModelEntry,
    Profile, RuleName, Split, Text, TextSource, Texts,
};

use super::{
    memory::{MemoryJob, memory_jobs},
    profiles::{Study, studies},
    unit::{Unit, units},
};
use crate::{
    Error, Result,
    error::{Place as _, Refuse as _, bail, ensure},
    evidence::shape,
    head_file,
    registry::role_of,
    window::Window,
};

/// What of a definition is run, and how its models are read.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Names of the experiments, profiles and memory studies that are wanted; all if there is none.
    pub only: &'a [String],
    /// The byte layout of I2_S tensors in .gguf files; found by plausibility when it is not given.
    pub i2s_layout: Option<Layout>,
    /// Hears of downloads.
    pub progress: &'a dyn Progress,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options { only: &[], i2s_layout: None, progress: &Silent }
    }
}

/// A definition whose models are loaded and whose every cell is known.
pub struct Grid {
    /// The definition.
    pub definition: Definition,
    /// One for every experiment, model and form.
    pub jobs: Vec<Job>,
    /// Profiles of heads, one for every study, model and form.
    pub studies: Vec<Study>,
    /// Memory by context length, one for every study and model.
    pub memory: Vec<MemoryJob>,
    /// Hashes of the models, once each.
    pub models: Vec<ModelEntry>,
    /// Hashes of all texts read.
    pub texts: Vec<FileHash>,
    i2s_layout: Option<Layout>,
}

/// One experiment on one model in one form.
pub struct Job {
    /// The experiment.
    pub experiment: Experiment,
    /// What the weights are run as.
    pub form: Form,
    /// The model.
    pub subject: Arc<LoadedModel>,
    /// The model in its true form, where predictions are compared with it.
    pub truth: Option<Arc<LoadedModel>>,
    /// Policies in the order of the definition, by seed.
    pub policies: Vec<Seeded>,
    /// The rules by which budgets are asked for.
    pub rules: BTreeMap<RuleName, Policy>,
    /// What any of them needs.
    pub needs: Needs,
    /// Contexts, each of which is read once for all its cells.
    pub units: Vec<Unit>,
    /// What is cut how, for every unit.
    pub cells: Vec<Cell>,
    /// Where entropies and head scores come from.
    pub calibration: Sources,
}

/// A policy and the seed it was given, which counts where it is random.
#[derive(Clone, Debug)]
pub struct Seeded {
    /// As the definition writes it.
    pub written: String,
    /// The policy.
    pub policy: Policy,
    /// The seed.
    pub seed: u64,
}

/// What numbers about heads come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Texts to be profiled at a length.
    pub profiled: Option<(Texts, usize)>,
    /// Entropies read from a file, `[layers * query_heads]`.
    pub entropy: Option<Vec<f64>>,
    /// Scores read from a file, `[layers * query_heads]`.
    pub head_scores: Option<Vec<f64>>,
    /// Stands for all of them in keys.
    pub fingerprint: String,
}

/// One way to compress a cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Index of the policy in [`Job::policies`].
    pub policy: usize,
    /// How much is kept.
    pub budget: AskedBudget,
    /// When, where kept keys stand, and how they are stored.
    pub axes: Axes,
}

impl Grid {
    /// Reads a definition, whose policies are of a registry, finds and loads its models, and lists its cells.
    ///
    /// # Errors
    /// With the file, the experiment and the key of whatever cannot be, before anything is computed.
    pub fn read(path: &Path, options: &Options<'_>, registry: &Registry) -> Result<Grid> {
        Grid::of(Definition::read(path)?, options, registry)
    }

    /// As [`Grid::read`].
    ///
    /// # Errors
    /// As [`Grid::read`].
    pub fn of(definition: Definition, options: &Options<'_>, registry: &Registry) -> Result<Grid> {
        let (names, only) = (definition.names(), options.only);
        if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
            bail!(
                Definition,
                "{} has no experiment `{unknown}`: it has {}",
                definition.file(),
                names.join(", ")
            );
        }
        definition.check_roles(|text| role_of(registry, text))?;
        let mut loaded = Loaded::of(&definition, options)?;
        let mut texts = Vec::new();
        let wanted = Wanted { definition: &definition, only };
        let jobs = wanted.on_models(
            &definition.experiments,
            |experiment| (&experiment.name, &experiment.models, &experiment.axes.form),
            |job: &Job| &job.subject.name,
            |experiment, model, form| {
                // Policies first: a slip in a name should not wait for models.
                let policies = policies(experiment, registry)?;
                let subject = loaded.open(model, form).at("models")?;
                let rules = rules(experiment, registry)?;
                let mut job = job(experiment, form, subject, policies, rules, &mut texts)?;
                if job.wants(Metric::Form) && form != Form::True {
                    job.truth = Some(loaded.open(model, Form::True).at("models")?);
                }
                Ok(job)
            },
        )?;
        let studies = studies(&wanted, &mut loaded, &mut texts)?;
        let memory = memory_jobs(&wanted, &mut loaded)?;
        texts.sort_by(|a: &FileHash, b| (&a.name, &a.sha256).cmp(&(&b.name, &b.sha256)));
        texts.dedup();
        let (models, i2s_layout) = (loaded.entries()?, options.i2s_layout);
        let grid = Grid { definition, jobs, studies, memory, models, texts, i2s_layout };
        ensure!(
            Definition,
            grid.rows() > 0,
            "{}: there is nothing to measure: every context is longer than its model can read",
            grid.definition.file()
        );
        Ok(grid)
    }

    /// How models are read, where that is not told by their files.
    pub(super) fn reading(&self) -> String {
        self.i2s_layout.map_or_else(String::new, |layout| format!("{layout:?}"))
    }

    /// Rows of every kind that a complete run has.
    pub fn rows(&self) -> usize {
        let jobs: usize = self.jobs.iter().map(Job::rows).sum();
        let heads: usize = self.studies.iter().map(Study::rows).sum();
        jobs + heads + self.memory.iter().map(MemoryJob::rows).sum::<usize>()
    }
}

impl Job {
    /// Rows of all cells.
    pub fn rows(&self) -> usize {
        self.units.iter().map(|unit| self.cells.len() * unit.groups.len()).sum()
    }

    /// Whether a metric is wanted.
    pub fn wants(&self, metric: Metric) -> bool {
        self.experiment.metrics.contains(&metric)
    }
}

/// The sections of a definition that are run.
pub(super) struct Wanted<'d> {
    pub(super) definition: &'d Definition,
    /// Their names; all if there is none.
    only: &'d [String],
}

impl Wanted<'_> {
    /// One part for every section of a kind, each of its models and each of its forms; `about` tells name, models and
    /// forms of a section, `model_of` the name of a part's model.
    ///
    /// # Errors
    /// When a part cannot be made, or a section has the same model twice.
    pub(super) fn on_models<'s, S, P>(
        &self,
        sections: &'s [S],
        about: impl Fn(&'s S) -> (&'s String, &'s [String], &'s [Form]),
        model_of: impl Fn(&P) -> &str,
        mut part: impl FnMut(&'s S, &'s str, Form) -> Result<P>,
    ) -> Result<Vec<P>> {
        let mut parts = Vec::new();
        for section in sections {
            let (name, models, forms) = about(section);
            if !self.only.is_empty() && !self.only.contains(name) {
                continue;
            }
            let place = || format!("{}, experiment '{name}'", self.definition.file());
            let first = parts.len();
            for (model, &form) in models.iter().flat_map(|model| forms.iter().map(move |form| (model, form)))
            {
                let part = part(section, model, form).at(place())?;
                let name = model_of(&part);
                ensure!(
                    Definition,
                    parts[first..].iter().all(|other| model_of(other) != name),
                    "{}: models lists {name} twice: give it once",
                    place()
                );
                parts.push(part);
            }
        }
        Ok(parts)
    }
}

/// Models by name and form in the order of opening, each loaded once.
pub(super) struct Loaded<'a> {
    models: Vec<(Source, Form, Arc<LoadedModel>)>,
    /// Names under which the definition asks for the memory of models whose configuration alone is known.
    taken: Vec<String>,
    i2s_layout: Option<Layout>,
    progress: &'a dyn Progress,
}

impl<'a> Loaded<'a> {
    fn of(definition: &Definition, options: &Options<'a>) -> Result<Loaded<'a>> {
        let mut taken = Vec::new();
        for model in definition.memory.iter().flat_map(|study| &study.models) {
            taken.extend(configuration(model)?.map(|shape| shape.name));
        }
        let Options { i2s_layout, progress, .. } = *options;
        Ok(Loaded { models: Vec::new(), taken, i2s_layout, progress })
    }

    pub(super) fn open(&mut self, model: &str, form: Form) -> Result<Arc<LoadedModel>> {
        let loading = Loading { plain_llama: form == Form::PlainLlama, i2s_layout: self.i2s_layout };
        let source = Source::find_with(model, loading, self.progress)?;
        let is_same = |known: &Source, other: &Form| known.has_files_of(&source) && *other == form;
        if let Some((.., subject)) = self.models.iter().find(|(known, other, _)| is_same(known, other)) {
            return Ok(Arc::clone(subject));
        }
        // Found before any weights are read: rows tell models apart by name.
        let name = match self.taken.contains(&source.name()) {
            true => format!("{} (measured)", source.name()),
            false => source.name(),
        };
        ensure!(
            Definition,
            self.models.iter().all(|(.., other)| other.name != name),
            "two models are named {name}: give each once, or rename one folder"
        );
        let subject = Arc::new(source.open()?.named(name));
        self.models.push((source, form, Arc::clone(&subject)));
        Ok(subject)
    }

    fn entries(&self) -> Result<Vec<ModelEntry>> {
        let entry =
            |subject: &Arc<LoadedModel>| Ok(ModelEntry { name: subject.name.clone(), ..subject.entry()? });
        self.models.iter().map(|(.., subject)| entry(subject)).collect()
    }
}

fn policies(experiment: &Experiment, registry: &Registry) -> Result<Vec<Seeded>> {
    let mut policies: Vec<Seeded> = Vec::new();
    for text in &experiment.policies {
        let found = seeded(text, &experiment.seeds, registry);
        let found = found.at(format!("policies lists `{text}`"))?;
        for one in found {
            ensure!(
                Definition,
                policies.iter().all(|earlier| earlier.policy.spec() != one.policy.spec()),
                "policies lists `{text}` twice, once as it stands and once in other words: remove one of them"
            );
            policies.push(one);
        }
    }
    Ok(policies)
}

/// The policy with every seed where it is random, and else with the first.
fn seeded(text: &str, seeds: &[u64], registry: &Registry) -> Result<Vec<Seeded>, bitkv_evict::Error> {
    let mut found = Vec::new();
    for &seed in seeds {
        let written = text.to_owned();
        match registry.seeded(text, seed)? {
            Some(policy) => found.push(Seeded { written, policy, seed }),
            None if found.is_empty() => {
                found.push(Seeded { written, policy: registry.policy(text)?, seed });
            }
            None => {}
        }
    }
    Ok(found)
}

/// The rules by which budgets are asked for.
fn rules(experiment: &Experiment, registry: &Registry) -> Result<BTreeMap<RuleName, Policy>> {
    let asked = experiment.budgets.iter().filter_map(|budget| match budget {
        AskedBudget::Realised(_, rule) => Some(*rule),
        _ => None,
    });
    let published = registry.listings().into_iter().filter(|listing| listing.role == Role::Published);
    let published: Vec<&str> = published.map(|listing| listing.name).collect();
    let policy = |rule: RuleName| {
        if !published.contains(&rule.as_str()) {
            let remedy = bitkv_spelling::instead(rule.as_str(), &published);
            return Err(Error::Definition(format!("budgets: '{rule}' is no published rule: {remedy}")));
        }
        Ok((rule, registry.policy(rule.as_str()).at("budgets")?))
    };
    asked.map(policy).collect()
}

fn job(
    experiment: &Experiment,
    form: Form,
    subject: Arc<LoadedModel>,
    policies: Vec<Seeded>,
    rules: BTreeMap<RuleName, Policy>,
    texts: &mut Vec<FileHash>,
) -> Result<Job> {
    let all = policies.iter().map(|seeded| &seeded.policy).chain(rules.values());
    let needs = all.fold(Needs::default(), |needs, policy| needs.union(policy.needs()));
    let evaluated = texts_of(&experiment.texts)?;
    let calibration = sources(experiment, &subject, &needs, &evaluated)?;
    texts.extend(evaluated.hashes());
    texts.extend(calibration.profiled.iter().flat_map(|(texts, _)| texts.hashes()));
    ensure!(
        Definition,
        !needs.contains(Need::HeadPattern),
        "policies: a head pattern cannot be given in a definition: use duo{{by='measured'}}"
    );
    check_budgets(experiment, &subject)?;
    let units = units(experiment, &subject, &evaluated)?;
    let cells = cells(experiment, form, &policies);
    Ok(Job {
        experiment: experiment.clone(),
        form,
        subject,
        truth: None,
        policies,
        rules,
        needs,
        units,
        cells,
        calibration,
    })
}

fn cells(experiment: &Experiment, form: Form, policies: &[Seeded]) -> Vec<Cell> {
    let lists = AxisLists { form: vec![form], ..experiment.axes.clone() };
    let mut cells = Vec::new();
    for axes in lists.product() {
        for (policy, seeded) in policies.iter().enumerate() {
            // The whole cache is the same whatever is asked for.
            let full = [AskedBudget::FULL];
            let whole = seeded.policy.role() == Role::Full;
            let budgets = if whole { &full[..] } else { &experiment.budgets };
            // What a rule realises is asked of that rule and of those that can keep exactly as much.
            let asked = |budget: &&AskedBudget| match budget {
                AskedBudget::Realised(_, rule) => {
                    seeded.policy.conserves() || seeded.policy.spec() == rule.as_str()
                }
                _ => true,
            };
            cells.extend(budgets.iter().filter(asked).map(|&budget| Cell { policy, budget, axes }));
        }
    }
    cells
}

pub(super) fn texts_of(source: &TextSource) -> Result<Texts> {
    Ok(match source {
        TextSource::Evaluation => suite::texts()?.only(Split::Evaluation),
        TextSource::Calibration => suite::texts()?.only(Split::Calibration),
        TextSource::Suite => suite::texts()?,
        TextSource::Folder(folder) => folder_texts(folder, Split::Evaluation)?,
    })
}

fn folder_texts(folder: &Path, split: Split) -> Result<Texts> {
    Texts::from_folder(folder, split).at(format!("texts: {} cannot be used", folder.display()))
}

/// Checks that calibration and evaluation do not overlap, and that files are of this model.
fn sources(
    experiment: &Experiment,
    subject: &LoadedModel,
    needs: &Needs,
    evaluated: &Texts,
) -> Result<Sources> {
    let mut found = Sources { profiled: None, entropy: None, head_scores: None, fingerprint: String::new() };
    let scores = match &experiment.calibration {
        Calibration::Texts { texts, tokens, head_scores } => {
            let profiled = match texts {
                TextSource::Folder(folder) => folder_texts(folder, Split::Calibration)?,
                _ => suite::texts()?.only(Split::Calibration),
            };
            // Also where no policy needs entropies: the texts are named as apart.
            profiled.clone().join(evaluated.clone()).at(
                "texts: calibration and evaluation must have nothing in common: name other texts in one of them",
            )?;
            if needs.contains(Need::Entropy) {
                let all: Vec<&Text> = profiled.all().iter().collect();
                let positions = subject.config().max_position_embeddings;
                ensure!(
                    Definition,
                    *tokens <= positions,
                    "calibration.tokens = {tokens} is more than the {positions} positions of {}: write fewer",
                    subject.name
                );
                Window::of_all(subject, &all, *tokens).at("calibration.tokens")?;
                let hashes: Vec<String> = profiled.hashes().into_iter().map(|hash| hash.sha256).collect();
                found.fingerprint = format!("{} tokens of {}", tokens, hashes.join(" "));
                found.profiled = Some((profiled, *tokens));
            }
            head_scores
        }
        Calibration::File { profile, head_scores } => {
            let (entropy, texts) = profile_of(subject, profile)?;
            let judged = evaluated.hashes();
            if let Some(text) =
                texts.iter().find(|text| judged.iter().any(|other| other.sha256 == text.sha256))
            {
                bail!(
                    Definition,
                    "calibration.profile: {} was measured on {}, which is evaluated too: use a profile of other texts",
                    profile.display(),
                    text.name
                );
            }
            found.fingerprint = format!("{entropy:?}");
            found.entropy = Some(entropy);
            head_scores
        }
    };
    if needs.contains(Need::HeadScores) {
        let file = scores.as_ref().refuse(
            Error::Definition,
            "policies: one goes by head scores, so give a file as calibration = { head-scores = \"FILE\" }",
        )?;
        let extent = shape(subject, 1);
        let scores =
            head_file::read(file, extent.layers, extent.query_heads).at("calibration.head-scores")?;
        found.fingerprint += &format!("{scores:?}");
        found.head_scores = Some(scores);
    }
    Ok(found)
}

/// The entropies of a profile of this model, `[layers * query_heads]`, and the texts that it was measured on.
///
/// # Errors
/// When the file is no profile, or one of another model.
pub(super) fn profile_of(subject: &LoadedModel, file: &Path) -> Result<(Vec<f64>, Vec<FileHash>)> {
    let profile = Profile::of_file(file).at("calibration.profile")?;
    let heads = shape(subject, 1).all_query_heads();
    let entropies = profile.entropies_of(file, &subject.name, heads).at("calibration.profile")?;
    Ok((entropies, profile.texts))
}

/// A budget in bytes must hold a token of every head.
fn check_budgets(experiment: &Experiment, subject: &LoadedModel) -> Result<()> {
    let extent = shape(subject, experiment.context);
    for budget in &experiment.budgets {
        if let AskedBudget::Bytes(bytes) = budget {
            let least = (extent.all_kv_heads() * 4 * extent.head_dim) as u64;
            ensure!(
                Definition,
                *bytes >= least,
                "budgets: {budget} does not hold one token of each of the {} KV heads of {}: ask for at least {least} B",
                extent.all_kv_heads(),
                subject.name
            );
            let most = least * extent.tokens as u64;
            ensure!(
                Definition,
                *bytes <= most,
                "budgets: {budget} is more than the {most} B of {} tokens of {}: ask for less",
                extent.tokens,
                subject.name
            );
        }
    }
    Ok(())
}
