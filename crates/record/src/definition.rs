//! Experiment definitions: TOML files that state a question, what would refute the expected answer, and what
//! to measure.
//!
//! [`Definition`] is the whole file. It has experiments ([`Experiment`], the product of lists of models,
//! policies, budgets and so on), profiles of attention heads ([`ProfileStudy`]) and tables of memory
//! ([`MemoryStudy`]). The submodules read one section each; `keys` takes the keys of a TOML table one by one
//! and refuses the unknown ones, and `check` tests what must be true of an experiment as a whole. [`Draft`]
//! reads a file to its end although it has gaps.

mod axis_value;
mod check;
mod draft;
mod equivalence;
mod experiment;
mod keys;
mod listed_model;
mod memory;
mod parts;
mod profile;
mod roles;

use crate::{
    Accounting, AskedBudget, AxisLists, ClaimId, Equal, Form, MetricGroup, Queries, RecordError, ScoredTask,
    json, sha256,
};
pub(crate) use axis_value::AxisValue;
pub use draft::Draft;
pub use equivalence::Equivalence;
pub(crate) use keys::Keys;
pub use listed_model::ListedModel;
use std::path::{Path, PathBuf};

/// The newest version of the format of definitions.
const FORMAT: usize = 1;

/// The word that an analysis must contain. Without it, the analysis does not say which result would be
/// negative.
const REFUTED: &str = "refuted";

/// A definition with every key of an experiment and its values, as `bitkv run --example` prints it.
pub const EXAMPLE: &str = include_str!("definition/example.toml");

/// A file of experiments. Any change to it changes [`Definition::sha256`].
///
/// [`EXAMPLE`] shows all keys of an experiment:
///
/// ```toml
#[doc = include_str!("definition/example.toml")]
/// ```
///
/// ```
/// use bitkv_record::{AskedBudget, Definition, EXAMPLE};
/// let definition = Definition::from_toml(EXAMPLE, "wide-heads.toml")?;
/// assert_eq!(definition.experiments[0].budgets[1], AskedBudget::Fraction(0.25));
///
/// let wrong = Definition::from_toml(&EXAMPLE.replace("horizon =", "horizons ="), "wide-heads.toml");
/// assert!(wrong.unwrap_err().to_string().starts_with(
///     "'wide-heads.toml', experiment 'wide-heads': \
///      there is no key 'horizons': remove it, or write 'horizon'"
/// ));
/// # Ok::<(), bitkv_record::RecordError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The question, and what would refute the expected answer. It is written before anything is measured.
    pub analysis: String,
    /// The experiments, in the order of the file.
    pub experiments: Vec<Experiment>,
    /// The profiles of attention heads, in the order of the file.
    pub profiles: Vec<ProfileStudy>,
    /// The tables of memory by context length, in the order of the file.
    pub memory: Vec<MemoryStudy>,
    /// The published claims that the rows decide. Default: no claims.
    pub claims: Vec<ClaimId>,
    file: String,
    text: String,
}

/// One experiment. Its cells are the product of its lists, on every model, form and context.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// The name, unique in the file. It consists of lower-case letters, digits and hyphens.
    pub name: String,
    /// The models.
    pub models: Vec<ListedModel>,
    /// The forms, times of eviction, positions and KV formats.
    pub axes: AxisLists,
    /// The texts to read.
    pub texts: TextSource,
    /// The number of tokens in the cache when it is compressed.
    pub context: usize,
    /// The number of tokens scored after the compression, at least 1.
    pub horizon: usize,
    /// How much of the cache is kept. The list always includes [`AskedBudget::FULL`].
    pub budgets: Vec<AskedBudget>,
    /// The policy specifications. This crate does not interpret them.
    pub policies: Vec<String>,
    /// Pairs of these policies. A report gives the difference of each pair, first minus second. Default: no
    /// pairs.
    pub pairs: Vec<(String, String)>,
    /// What is equal in a comparison of KV formats. Default: the tokens kept.
    pub equal: Equal,
    /// The metrics to measure. Default: KL, attention, output error and free running.
    pub metrics: Vec<MetricGroup>,
    /// The tasks that cells are scored on. Default: continuing the texts.
    pub tasks: Vec<GridTask>,
    /// Where the profiles of attention heads come from.
    pub calibration: CalibrationSettings,
    /// The seeds of random choices. Default: 0.
    pub seeds: Vec<u64>,
    /// How many random choices a random policy gets for each seed, unless its text has a seed. Draw number i
    /// (from 0) has the seed `seed * draws + i`, modulo 2^63. Every text is measured with all draws. A
    /// generated context is measured with one draw: context number c with draw c modulo `draws`. Default: 1.
    pub draws: usize,
    /// The differences within which the two policies of a pair, or two values of an axis, are equivalent.
    /// Default: equivalence is not tested.
    pub equivalence: Option<Equivalence>,
    /// Whether the policies must include the full cache, random choice and, if a cell evicts once, an oracle.
    /// If this is false, the analysis of the experiment must say why.
    pub controls: bool,
    /// Remarks on this experiment.
    pub analysis: Option<String>,
    /// The most seconds that a cell may take. A cell that takes longer fails, and the run continues. The
    /// limit changes no number, so rows do not depend on it. Default: no limit.
    pub cell_seconds: Option<f64>,
}

/// A profile: the attention entropy of every head over texts, at several context lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileStudy {
    /// The name, unique in the file.
    pub name: String,
    /// The models.
    pub models: Vec<ListedModel>,
    /// The forms in which the weights run. Default: `true`.
    pub forms: Vec<Form>,
    /// The texts to read.
    pub texts: TextSource,
    /// The context lengths: how many tokens of each text are read.
    pub lengths: Vec<usize>,
    /// The queries whose entropies are averaged. Default: all.
    pub queries: Queries,
    /// Remarks on this profile.
    pub analysis: Option<String>,
}

/// A table of memory: the bytes of weights, cache and activations at several context lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryStudy {
    /// The name, unique in the file.
    pub name: String,
    /// The models, or names of models whose configuration is known.
    pub models: Vec<ListedModel>,
    /// The forms in which the weights run.
    pub forms: Vec<Form>,
    /// The context lengths in tokens. Lengths that a model cannot read are skipped.
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
    /// The suite's calibration and evaluation texts. Only a profile may use them.
    Suite,
    /// The suite's long texts.
    Long,
    /// A folder. A relative path is already joined to the folder of the definition.
    Folder(PathBuf),
}

/// A task of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GridTask {
    /// The task.
    pub task: ScoredTask,
    /// The number of generated contexts. It is 0 for the task `text`, which uses all texts.
    pub count: usize,
    /// The length of each context in tokens.
    pub tokens: usize,
}

/// Where an experiment gets its numbers about heads, such as entropies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CalibrationSettings {
    /// The model is profiled on texts.
    Texts {
        /// The texts.
        texts: TextSource,
        /// How many tokens of each text are read. Default: 512.
        tokens: usize,
        /// A file with one score per head, for policies that need it.
        head_scores: Option<PathBuf>,
    },
    /// A profile is read from a file.
    File {
        /// The file.
        profile: PathBuf,
        /// A file with one score per head, for policies that need it.
        head_scores: Option<PathBuf>,
    },
}

impl Definition {
    /// Reads the definition at `path`.
    ///
    /// # Errors
    /// Fails as [`Definition::from_toml`] does.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        Self::from_toml(&json::read_text(path, bitkv_bytes::limit::DEFINITION)?, &path.display().to_string())
    }

    /// Parses a definition. `file` names the text in errors; relative paths in the text start in its folder.
    ///
    /// # Errors
    /// Fails if the text is not TOML, a key is unknown or missing, a value is impossible, a value or a name
    /// is repeated, an experiment lacks budget 1.0, or the analysis does not say what would refute the
    /// expectation. The message is one sentence with the file and every gap: experiment, key, value and
    /// remedy.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, RecordError> {
        Draft::from_toml(text, file)?.finish()
    }

    /// Returns the names of the experiments, profiles and memory studies, in this order.
    pub fn names(&self) -> Vec<&str> {
        let experiments = self.experiments.iter().map(|e| e.name.as_str());
        let profiles = self.profiles.iter().map(|p| p.name.as_str());
        experiments.chain(profiles).chain(self.memory.iter().map(|m| m.name.as_str())).collect()
    }

    /// Returns the name of the file, as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the text of the file, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the SHA-256 of the text: 64 lower-case hex digits.
    pub fn sha256(&self) -> String {
        sha256(self.text.as_bytes())
    }
}

/// The keys at the top of a definition.
const KEYS: [&str; 6] = ["format", "analysis", "claims", "experiment", "profile", "memory"];

/// Says in one line where and why a text is not TOML.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Named;

    const DOCUMENT: &str = include_str!("../../../docs/EXPERIMENTS.md");

    /// Returns the section of the document with a heading.
    fn section(heading: &str) -> &'static str {
        let (_, after) = DOCUMENT.split_once(&format!("\n## {heading}\n")).unwrap();
        after.split("\n## ").next().unwrap()
    }

    /// Returns the first cell of every row of the table whose first title is `key`, without backticks.
    fn documented(heading: &str) -> Vec<&'static str> {
        let table = section(heading).lines().skip_while(|line| !line.starts_with("| key |")).skip(2);
        let rows = table.take_while(|line| line.starts_with('|'));
        rows.map(|row| row.split('|').nth(1).unwrap().trim().trim_matches('`')).collect()
    }

    #[test]
    fn the_document_has_every_key_and_no_other() {
        let sorted = |mut keys: Vec<&'static str>| {
            keys.sort_unstable();
            keys
        };
        for (heading, keys) in [
            ("The file", KEYS.to_vec()),
            ("An experiment", [&experiment::KEYS[..], AxisLists::KEYS].concat()),
            ("A profile", profile::KEYS.to_vec()),
            ("A memory study", memory::KEYS.to_vec()),
        ] {
            assert_eq!(sorted(documented(heading)), sorted(keys), "{heading}");
        }
    }

    #[test]
    fn the_document_has_every_name() {
        fn names<T: Named>() -> impl Iterator<Item = &'static str> {
            T::ALL.iter().map(|value| value.name())
        }
        let experiment = names::<Form>().chain(names::<Equal>()).chain(names::<MetricGroup>());
        let experiment = experiment.chain(names::<crate::Positions>()).chain(names::<crate::KvFormat>());
        let others = [
            ("A profile", names::<Queries>().collect()),
            ("A memory study", names::<Accounting>().collect()),
        ];
        let file = ("The file", names::<ClaimId>().collect::<Vec<_>>());
        for (heading, names) in
            [("An experiment", experiment.collect::<Vec<_>>()), file].into_iter().chain(others)
        {
            for name in names {
                assert!(section(heading).contains(&format!("`\"{name}\"`")), "{heading} lacks {name}");
            }
        }
    }

    /// Every budget of the document can be read, and every example of a table.
    #[test]
    fn budgets_and_examples_of_the_document_can_be_read() {
        let budgets = section("An experiment").split_once("| budget |").unwrap().1;
        let rows = budgets.lines().skip(2).take_while(|line| line.starts_with('|'));
        let budgets: Vec<&str> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
        assert!(budgets.len() >= 6);
        let text = EXAMPLE.replace("0.25, \"64 tokens\", \"32 KiB\"", &budgets.join(", "));
        Definition::from_toml(&text, "d.toml").unwrap();
        let whole = "equivalence = {kl = 0.001, agreement = 0.01, accuracy = 0.05}";
        assert!(DOCUMENT.contains(whole.split_once(" = ").unwrap().1));
        let text = EXAMPLE.replace("equivalence = {kl = 0.001}", whole);
        let task = "{kind = \"recall\", count = 10, tokens = 512, aware = false}";
        assert!(DOCUMENT.contains(task));
        let text = text.replace("tasks = [\"text\"]", &format!("tasks = [\"text\", {task}]"));
        Definition::from_toml(&text, "d.toml").unwrap();
    }
}
