//! Experiment definitions: a TOML file that says what is asked, what would refute it, and which cells are measured.

mod axis_value;
mod check;
mod experiment;
mod keys;
mod memory;
mod parts;
mod profile;
mod roles;
#[cfg(test)]
mod tests;

use crate::{
    Accounting, AskedBudget, AxisLists, ClaimId, Equal, Form, Metric, Queries, RecordError, ScoredTask, json,
    sha256,
};
pub(crate) use axis_value::AxisValue;
pub(crate) use keys::Keys;
use keys::Place;
use std::path::{Path, PathBuf};

/// The version of the format of definitions.
const FORMAT: usize = 1;

/// The word without which an analysis says nothing that could turn out wrong.
const REFUTED: &str = "refuted";

/// A file of experiments. Nothing in it can be changed without changing [`Definition::sha256`].
///
/// ```
/// # use bitkv_record::{AskedBudget, Definition};
/// let text = r#"
/// analysis = """
/// Does it pay to give wide heads more of the cache? Refuted if, at budget 0.25, the 95 % interval of the
/// paired difference in KL (entropy less uniform) has zero in it or lies above it."""
///
/// [[experiment]]
/// name = "wide-heads"                      # lower-case letters, digits, hyphens
/// models = ["tiny-gqa"]                    # as --model takes them
/// texts = "evaluation"                     # or a folder
/// context = 896                            # tokens in the cache when it is compressed
/// horizon = 127                            # tokens scored after that
/// budgets = [1.0, 0.25, "64 tokens", "32 KiB"]
/// policies = ["full", "uniform+recency", "entropy+recency", "uniform+random", "uniform+oracle"]
///
/// ## What follows may be left out; these are the defaults, and what else there is.
/// pairs = [["entropy+recency", "uniform+recency"]]   # differences that decide; none by default
/// forms = ["true"]                         # "plain-llama"
/// when = ["once"]                          # "chunked", "decoding", {prefill-chunk = 128, every = 16}
/// positions = ["original"]                 # "rerotated"
/// kv = ["f16"]                             # "int8", "int4", "kivi4", "kivi2"
/// equal = "tokens"                         # "bytes", where there are several KV formats
/// metrics = ["kl", "attention", "output-error", "free-running"]   # "form", "timing"
/// tasks = ["text"]                         # "passkey", {kind = "recall", count = 10, tokens = 512, aware = false}
/// calibration = {tokens = 512, texts = "calibration"}   # {profile = "file.json"}; head-scores = "file.json"
/// seeds = [0]
/// controls = true                          # false needs a reason in analysis of the experiment
/// analysis = "Remarks."
/// "#;
/// let definition = Definition::from_toml(text, "wide-heads.toml")?;
/// assert_eq!(definition.experiments[0].budgets[1], AskedBudget::Fraction(0.25));
///
/// let wrong = Definition::from_toml(&text.replace("horizon =", "horizons ="), "wide-heads.toml");
/// assert!(wrong.unwrap_err().to_string().starts_with(
///     "'wide-heads.toml', experiment 'wide-heads': there is no key 'horizons': remove it, or write 'horizon'"
/// ));
/// # Ok::<(), bitkv_record::RecordError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The question, and what would refute the expected answer; written before anything is measured.
    pub analysis: String,
    /// The experiments, in the order of the file.
    pub experiments: Vec<Experiment>,
    /// Profiles of heads, in the order of the file.
    pub profiles: Vec<ProfileStudy>,
    /// Memory by context length, in the order of the file.
    pub memory: Vec<MemoryStudy>,
    /// Published claims that the rows are to decide; none unless said otherwise.
    pub claims: Vec<ClaimId>,
    file: String,
    text: String,
}

/// One experiment: the product of its lists, on every model, form and context.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// Name, unique in the file: lower-case letters, digits and hyphens.
    pub name: String,
    /// Models, as `--model` takes them.
    pub models: Vec<String>,
    /// Forms, times of eviction, positions and KV formats.
    pub axes: AxisLists,
    /// What is read.
    pub texts: TextSource,
    /// Tokens in the cache when it is compressed.
    pub context: usize,
    /// Tokens scored after that, at least 1.
    pub horizon: usize,
    /// How much is kept; [`AskedBudget::FULL`] is always among them.
    pub budgets: Vec<AskedBudget>,
    /// Policy specifications; what they mean is not known here.
    pub policies: Vec<String>,
    /// Pairs of these policies whose differences, first less second, a report gives; none unless said otherwise.
    pub pairs: Vec<(String, String)>,
    /// What is held equal among KV formats; the tokens unless said otherwise.
    pub equal: Equal,
    /// What is measured; all but timing unless said otherwise.
    pub metrics: Vec<Metric>,
    /// What cells are scored on; the texts unless said otherwise.
    pub tasks: Vec<GridTask>,
    /// What profiles come from.
    pub calibration: Calibration,
    /// Seeds of what is random; 0 unless said otherwise.
    pub seeds: Vec<u64>,
    /// Whether the full cache, a random scorer and an oracle are among the policies, as they must be unless the
    /// experiment's own analysis says why not.
    pub controls: bool,
    /// Remarks of this experiment.
    pub analysis: Option<String>,
}

/// Attention entropies of every head over texts, at several lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileStudy {
    /// Name, unique in the file.
    pub name: String,
    /// Models, as `--model` takes them.
    pub models: Vec<String>,
    /// What the weights are run as; the trained network unless said otherwise.
    pub forms: Vec<Form>,
    /// What is read.
    pub texts: TextSource,
    /// Tokens of each text that are read.
    pub lengths: Vec<usize>,
    /// The queries that are averaged; all unless said otherwise.
    pub queries: Queries,
    /// Remarks of this profile.
    pub analysis: Option<String>,
}

/// Bytes of weights, cache and activations at several context lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryStudy {
    /// Name, unique in the file.
    pub name: String,
    /// Models as `--model` takes them, or models whose configuration is known.
    pub models: Vec<String>,
    /// What the weights are run as.
    pub forms: Vec<Form>,
    /// Context lengths in tokens; those that a model cannot read are left out.
    pub contexts: Vec<usize>,
    /// How bytes are counted.
    pub accounting: Vec<Accounting>,
}

/// Where texts come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextSource {
    /// The suite's evaluation texts.
    Evaluation,
    /// The suite's calibration texts.
    Calibration,
    /// All of the suite's own texts; for profiles only.
    Suite,
    /// A folder; a path relative to the definition has its folder before it.
    Folder(PathBuf),
}

/// A task of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridTask {
    /// What is scored.
    pub task: ScoredTask,
    /// Contexts generated; 0 for texts, which are as many as there are.
    pub count: usize,
    /// Tokens of each context.
    pub tokens: usize,
}

/// What the profiles of an experiment come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Calibration {
    /// Texts are profiled.
    Texts {
        /// Which texts.
        texts: TextSource,
        /// Tokens read of each; 512 unless said otherwise.
        tokens: usize,
        /// A file of scores by head, where a policy needs one.
        head_scores: Option<PathBuf>,
    },
    /// A profile is read from a file.
    File {
        /// The file.
        profile: PathBuf,
        /// A file of scores by head, where a policy needs one.
        head_scores: Option<PathBuf>,
    },
}

impl Definition {
    /// Reads a definition.
    ///
    /// # Errors
    /// See [`Definition::from_toml`].
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        Self::from_toml(&json::read_text(path)?, &path.display().to_string())
    }

    /// Parses a definition; `file` names the text in errors, and relative paths begin in its folder.
    ///
    /// # Errors
    /// One sentence with file, experiment, key, value and remedy: for what is not TOML, for unknown and missing keys,
    /// for values that cannot be, for repeated values and names, for experiments without budget 1.0 or without the
    /// controls, and for an analysis that does not say what would refute it.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, RecordError> {
        let place = Place::file(file);
        let table = text.parse::<toml::Table>().map_err(|error| place.refuse(syntax(&error, text)))?;
        // Before unknown keys, which a newer format may well have.
        check::format(&table, FORMAT).map_err(|reason| place.refuse(reason))?;
        let mut keys = Keys::new(table, &KEYS, place.clone())?;
        let analysis = keys.text("analysis")?.unwrap_or_default();
        if !analysis.to_lowercase().contains(REFUTED) {
            return Err(place.refuse(
                "analysis does not say what would refute the expectation: write the question and, before running \
                 anything, a sentence such as 'refuted if ...'",
            ));
        }
        let claims = keys.list("claims", Some(Vec::new()), keys::named)?;
        let profiles = keys.tables("profile", |table| profile::read(table, &place))?;
        let memory = keys.tables("memory", |table| memory::read(table, &place))?;
        if !keys.has("experiment") && profiles.is_empty() && memory.is_empty() {
            return Err(place.refuse(
                "there is nothing to measure: add a section [[experiment]], [[profile]] or [[memory]]",
            ));
        }
        let experiments = match keys.has("experiment") {
            true => keys.entries("experiment")?.collect(),
            false => Vec::new(),
        };
        let experiments =
            experiments.into_iter().map(|(at, value)| experiment::read(keys::table(value, &at)?, &place));
        let experiments = experiments.collect::<Result<Vec<_>, _>>()?;
        let of_profiles = profiles.iter().map(|profile| &profile.name);
        let of_memory = memory.iter().map(|memory| &memory.name);
        check::names(experiments.iter().map(|e| &e.name).chain(of_profiles).chain(of_memory), &place)?;
        let (file, text) = (file.to_owned(), text.to_owned());
        Ok(Self { analysis, experiments, profiles, memory, claims, file, text })
    }

    /// Names of experiments, profiles and memory studies, in this order.
    pub fn names(&self) -> Vec<&str> {
        let experiments = self.experiments.iter().map(|e| e.name.as_str());
        let profiles = self.profiles.iter().map(|p| p.name.as_str());
        experiments.chain(profiles).chain(self.memory.iter().map(|m| m.name.as_str())).collect()
    }

    /// How the file was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of the text, 64 lower-case hex digits.
    pub fn sha256(&self) -> String {
        sha256(self.text.as_bytes())
    }
}

/// Keys of a whole definition.
const KEYS: [&str; 6] = ["format", "analysis", "claims", "experiment", "profile", "memory"];

/// Where and why a text is not TOML, in one line.
fn syntax(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    let found = error.span().and_then(|span| text.get(span)).unwrap_or_default().trim();
    match error.message().trim() {
        "duplicate key" => {
            format!("line {line} gives the key '{found}' a second time: remove one of the two")
        }
        other => format!("line {line} is not TOML: {}", other.replace('\n', ", ")),
    }
}
