//! Experiment definitions: TOML files that state a question, what would refute the expected answer, and what
//! to measure.
//!
//! [`Definition`] is the whole file. It has experiments ([`Experiment`], the product of lists of models,
//! policies, budgets and so on), profiles of attention heads ([`ProfileStudy`]) and tables of memory
//! ([`MemoryStudy`]). The submodules read one section each; `keys` takes the keys of a TOML table one by one
//! and refuses the unknown ones, and `check` tests what must be true of an experiment as a whole.

mod axis_value;
mod check;
mod experiment;
mod keys;
mod memory;
mod parts;
mod profile;
mod roles;

use crate::{
    Accounting, AskedBudget, AxisLists, ClaimId, Equal, Form, MetricGroup, Queries, RecordError, ScoredTask,
    json, sha256,
};
pub(crate) use axis_value::AxisValue;
pub(crate) use keys::Keys;
use keys::Place;
use std::path::{Path, PathBuf};

/// The newest version of the format of definitions.
const FORMAT: usize = 1;

/// The word that an analysis must contain. Without it, the analysis does not say which result would be
/// negative.
const REFUTED: &str = "refuted";

/// A file of experiments. Any change to it changes [`Definition::sha256`].
///
/// ```
/// # use bitkv_record::{AskedBudget, Definition};
/// let text = r#"
/// analysis = """
/// Does it pay to give wide heads more of the cache? Refuted if, at budget 0.25, the 95 % interval of the
/// paired difference in KL (entropy minus uniform) includes zero or is above it."""
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
/// ## The keys below are optional. Each shows its default, and the comment other values.
/// pairs = [["entropy+recency", "uniform+recency"]]   # differences to report; default: no pairs
/// forms = ["true"]                         # "plain-llama"
/// when = ["once"]                          # "chunked", "decoding", {prefill-chunk = 128, every = 16}
/// positions = ["original"]                 # "rerotated"
/// kv = ["f16"]                             # "int8", "int4", "kivi4", "kivi2"
/// equal = "tokens"                         # "bytes", if kv lists several formats
/// metrics = ["kl", "attention", "output-error", "free-running"]   # "form", "timing"
/// tasks = ["text"]                  # "passkey", {kind = "recall", count = 10, tokens = 512, aware = false}
/// calibration = {tokens = 512, texts = "calibration"}   # {profile = "file.json"}; head-scores = "file.json"
/// seeds = [0]
/// controls = true                          # false needs a reason in the analysis below
/// analysis = "Remarks."
/// "#;
/// let definition = Definition::from_toml(text, "wide-heads.toml")?;
/// assert_eq!(definition.experiments[0].budgets[1], AskedBudget::Fraction(0.25));
///
/// let wrong = Definition::from_toml(&text.replace("horizon =", "horizons ="), "wide-heads.toml");
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
    /// The models, as `--model` takes them.
    pub models: Vec<String>,
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
    /// Whether the policies must include the full cache, random choice and an oracle. If this is false, the
    /// analysis of the experiment must say why.
    pub controls: bool,
    /// Remarks on this experiment.
    pub analysis: Option<String>,
}

/// A profile: the attention entropy of every head over texts, at several context lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileStudy {
    /// The name, unique in the file.
    pub name: String,
    /// The models, as `--model` takes them.
    pub models: Vec<String>,
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
    /// The models, as `--model` takes them, or names of models whose configuration is known.
    pub models: Vec<String>,
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
    /// All of the suite's texts. Only a profile may use them.
    Suite,
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
        Self::from_toml(&json::read_text(path)?, &path.display().to_string())
    }

    /// Parses a definition. `file` names the text in errors; relative paths in the text start in its folder.
    ///
    /// # Errors
    /// Fails if the text is not TOML, a key is unknown or missing, a value is impossible, a value or a name
    /// is repeated, an experiment lacks budget 1.0, or the analysis does not say what would refute the
    /// expectation. The message is one sentence with file, experiment, key, value and remedy.
    pub fn from_toml(text: &str, file: &str) -> Result<Self, RecordError> {
        let place = Place::file(file);
        let table = text.parse::<toml::Table>().map_err(|error| place.refuse(syntax(&error, text)))?;
        // The version is checked before the keys, because a newer format may have keys that are unknown here.
        check::format(&table, FORMAT).map_err(|reason| place.refuse(reason))?;
        let mut keys = Keys::new(table, &KEYS, place.clone())?;
        let Some(analysis) = keys.text("analysis")? else {
            return Err(place.refuse(
                "analysis is missing: add a line such as analysis = \"QUESTION? Refuted if the interval includes 0.\"",
            ));
        };
        if !analysis.to_lowercase().contains(REFUTED) {
            return Err(place.refuse(
                "analysis must say what result refutes the expectation: add a sentence that begins with 'Refuted if'",
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
        let profile_names = profiles.iter().map(|profile| &profile.name);
        let memory_names = memory.iter().map(|memory| &memory.name);
        check::names(experiments.iter().map(|e| &e.name).chain(profile_names).chain(memory_names), &place)?;
        let (file, text) = (file.to_owned(), text.to_owned());
        Ok(Self { analysis, experiments, profiles, memory, claims, file, text })
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
    use crate::{KvFormat, PolicyRole, Positions, TaskKind, When};

    const GOOD: &str = r#"
    analysis = '''Does it help? Refuted if the interval includes zero.'''

    [[experiment]]
    name = "scorers"
    models = ["tiny-mha", "tiny-gqa"]
    texts = "evaluation"
    context = 896
    horizon = 127
    budgets = [1.0, 0.5, "64 tokens", "32 KiB"]
    policies = ["full", " uniform+recency ", "uniform+random", "uniform + oracle{horizon=3}"]
    "#;

    const WHOLE: &str = r#"
    analysis = "refuted if not"

    [[experiment]]
    name = "everything-2"
    analysis = "because"
    models = ["m"]
    forms = ["true", "plain-llama"]
    texts = "own/texts"
    context = 256
    horizon = 32
    budgets = [1]
    policies = ["uniform+recency", "uniform+key{x='a', y=1}"]
    pairs = [["uniform + key{y=1,x=\"a\"}", "uniform+recency"]]
    controls = false
    when = ["once", "chunked", "decoding", {prefill-chunk = 64, every = 8}]
    positions = ["rerotated"]
    kv = ["f16", "kivi2"]
    equal = "bytes"
    metrics = ["kl", "timing"]
    tasks = ["text", "copy", {kind = "passkey", count = 3, tokens = 200, aware = true}]
    calibration = {tokens = 64, texts = "../cal", head-scores = "scores.json"}
    seeds = [0, 7]
    "#;

    fn refusal(text: &str) -> String {
        let message = Definition::from_toml(text, "lab/sweep.toml").unwrap_err().to_string();
        assert!(message.starts_with("'lab/sweep.toml'") && !message.contains('\n'), "{message}");
        message
    }

    /// Returns the error of the good definition with one change.
    fn changed(from: &str, to: &str) -> String {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        refusal(&text)
    }

    #[test]
    fn missing_keys_have_their_defaults() {
        let definition = Definition::from_toml(GOOD, "lab/sweep.toml").unwrap();
        assert_eq!((definition.file(), definition.text()), ("lab/sweep.toml", GOOD));
        assert_eq!(definition.sha256(), sha256(GOOD.as_bytes()));
        let [experiment] = &definition.experiments[..] else { panic!() };
        let expected = Experiment {
            name: "scorers".into(),
            models: vec!["tiny-mha".into(), "tiny-gqa".into()],
            axes: AxisLists::default(),
            texts: TextSource::Evaluation,
            context: 896,
            horizon: 127,
            budgets: vec![
                AskedBudget::FULL,
                AskedBudget::Fraction(0.5),
                AskedBudget::Tokens(64),
                AskedBudget::Bytes(32768),
            ],
            policies: ["full", "uniform+recency", "uniform+random", "uniform + oracle{horizon=3}"]
                .map(String::from)
                .to_vec(),
            pairs: Vec::new(),
            equal: Equal::Tokens,
            metrics: vec![
                MetricGroup::Kl,
                MetricGroup::Attention,
                MetricGroup::OutputError,
                MetricGroup::FreeRunning,
            ],
            tasks: vec![GridTask { task: ScoredTask::TEXT, count: 0, tokens: 896 }],
            calibration: CalibrationSettings::Texts {
                texts: TextSource::Calibration,
                tokens: 512,
                head_scores: None,
            },
            seeds: vec![0],
            controls: true,
            analysis: None,
        };
        assert_eq!(experiment, &expected);
    }

    #[test]
    fn every_key_is_read() {
        let experiment = Definition::from_toml(WHOLE, "lab/sweep.toml").unwrap().experiments.remove(0);
        assert_eq!(experiment.axes.form, [Form::True, Form::PlainLlama]);
        assert_eq!(experiment.texts, TextSource::Folder("lab/own/texts".into()));
        assert_eq!(experiment.budgets, [AskedBudget::FULL]);
        let both = When { prefill_chunk: Some(64), every: Some(8) };
        assert_eq!(experiment.axes.when, [When::ONCE, When::CHUNKED, When::DECODING, both]);
        assert_eq!(
            experiment.pairs,
            [(r#"uniform + key{y=1,x="a"}"#.to_owned(), "uniform+recency".to_owned())]
        );
        assert_eq!((experiment.axes.positions, experiment.equal), (vec![Positions::Rerotated], Equal::Bytes));
        assert_eq!(experiment.axes.kv, [KvFormat::F16, KvFormat::Kivi2]);
        assert_eq!(experiment.metrics, [MetricGroup::Kl, MetricGroup::Timing]);
        let task = |kind, aware, count, tokens| GridTask { task: ScoredTask { kind, aware }, count, tokens };
        let tasks = [
            task(TaskKind::Text, false, 0, 256),
            task(TaskKind::Copy, false, 11, 256),
            task(TaskKind::Passkey, true, 3, 200),
        ];
        assert_eq!(experiment.tasks, tasks);
        let calibration = CalibrationSettings::Texts {
            texts: TextSource::Folder("lab/../cal".into()),
            tokens: 64,
            head_scores: Some("lab/scores.json".into()),
        };
        assert_eq!(experiment.calibration, calibration);
        assert_eq!((experiment.seeds, experiment.controls), (vec![0, 7], false));
        assert_eq!(experiment.analysis.as_deref(), Some("because"));

        let profile = WHOLE.replace("tokens = 64, texts = \"../cal\"", "profile = \"p.json\"");
        let calibration =
            Definition::from_toml(&profile, "d.toml").unwrap().experiments.remove(0).calibration;
        let head_scores = Some("scores.json".into());
        assert_eq!(calibration, CalibrationSettings::File { profile: "p.json".into(), head_scores });
    }

    #[test]
    fn errors_are_one_sentence_with_file_experiment_key_and_remedy() {
        assert_eq!(
            changed("budgets = [1.0, ", "budgets = ["),
            "'lab/sweep.toml', experiment 'scorers': budgets lacks 1.0, at which every policy must leave the output unchanged: add 1.0"
        );
        assert_eq!(
            changed("horizon = 127", "horizon = 127\nbudget = 3"),
            "'lab/sweep.toml', experiment 'scorers': there is no key 'budget': remove it, or write 'budgets' if that is \
             meant, or another of name, models, texts, context, horizon, budgets, policies, pairs, equal, metrics, tasks, \
             calibration, seeds, controls, analysis, forms, when, positions, kv"
        );
        assert_eq!(
            changed("context = 896", "context = \"long\""),
            "'lab/sweep.toml', experiment 'scorers': context = \"long\" is a string: write a whole number"
        );
    }

    #[test]
    fn impossible_values_are_refused() {
        let end = "oracle{horizon=3}\"]";
        let added = |line: &str| changed(end, &format!("{end}\n{line}"));
        let cases = [
            (
                changed("Refuted", "Denied"),
                "analysis must say what result refutes the expectation: add a sentence that begins with 'Refuted if'",
            ),
            (changed("analysis", "analyse"), "no key 'analyse'"),
            (changed("[[experiment]]", "[experiment]"), "write a list in brackets"),
            (
                changed("name = \"scorers\"", ""),
                "a section [[experiment]]: name is missing: add a line such as name = \"scorers\"",
            ),
            (
                changed("analysis = '''Does it help? Refuted if the interval includes zero.'''", ""),
                "analysis is missing: add a line such as analysis = ",
            ),
            (changed("scorers", "The Scorers"), "lower-case letters, digits and hyphens"),
            (changed("[\"tiny-mha\", \"tiny-gqa\"]", "[]"), "models = [] is empty"),
            (changed("tiny-gqa", "tiny-mha"), "models lists \"tiny-mha\" twice"),
            (changed("tiny-gqa", " "), "models has an empty string"),
            (changed("models = [\"tiny-mha\", \"tiny-gqa\"]\n", ""), "models is missing"),
            (changed("\"evaluation\"", "\"evalution\""), "write \"evaluation\", or a folder"),
            (changed("texts = \"evaluation\"\n", ""), "texts is missing"),
            (changed("896", "0"), "context = 0 is too small: write a whole number of at least 1"),
            (changed("127", "0"), "horizon = 0 is too small: write a whole number of at least 1"),
            (changed("127", "-3"), "horizon = -3 is too small"),
            (changed("0.5", "1.5"), "budgets: 1.5 is not a fraction in (0, 1]"),
            (changed("0.5", "0.0"), "budgets: 0.0 is not"),
            (
                changed("0.5", "64"),
                "budgets: 64 is not a fraction in (0, 1] and has no unit: write \"64 tokens\" for a number of tokens",
            ),
            (changed("32 KiB", "32 kB"), "budgets: '32 kB' is not a budget"),
            (changed("0.5", "1.0"), "budgets lists 1.0 twice"),
            (
                changed("64 tokens", "897 tokens"),
                "'897 tokens' is more than the 896 tokens of a context of task 'text'",
            ),
            (
                added("pairs = [\"full\"]"),
                "pairs has \"full\", which is not a pair of policies: write a pair such as",
            ),
            (added("pairs = [[\"full\", \"a\", \"b\"]]"), "which is not a pair of policies"),
            (
                added("pairs = [[\"full\", 3]]"),
                "pairs lists 3, which is a whole number: write a string in quotes",
            ),
            (
                added("pairs = [[\"full\", \"uniform+recency{sinks=0}\"]]"),
                "pairs: 'uniform+recency{sinks=0}' is not in policies: add it there, or write",
            ),
            (added("pairs = [[\"uniform+random\", \"uniform + random\"]]"), "is paired with itself"),
            (
                added("pairs = [[\"full\", \"uniform+random\"], [\"full\", \"uniform+random\"]]"),
                "twice: list it once",
            ),
            (added("controls = false"), "controls = false needs a reason"),
            (added("controls = 1"), "write true or false"),
            (
                added("forms = [\"llama\"]"),
                "'llama' is not a known form of a model: write one of true, plain-llama",
            ),
            (added("when = [\"never\"]"), "when: 'never' is not a time of eviction"),
            (added("when = [{}]"), "when has an empty table: write \"once\""),
            (added("when = [{evry = 3}]"), "no key 'when.evry': remove it, or write 'every'"),
            (added("when = [{prefill-chunk = 896}]"), "never divided"),
            (
                added("when = [{every = 127}]"),
                "horizon = 127 is not longer: set `every` below 127, or raise horizon",
            ),
            (added("kv = [\"int3\"]"), "kv: 'int3' is not a known KV format: write 'int8' if that is meant"),
            (added("equal = \"bytes\""), "kv lists only f16"),
            (added("metrics = [\"timing\"]"), "metrics lacks \"kl\""),
            (added("tasks = [{count = 3}]"), "tasks.kind is missing"),
            (
                added("tasks = [{kind = \"text\", count = 3}]"),
                "tasks has options for \"text\", which has none",
            ),
            (
                added("tasks = [\"copy\", {kind = \"copy\", count = 3}]"),
                "tasks lists 'copy' with 896 tokens twice",
            ),
            (added("tasks = [{kind = \"copy\", tokens = 50}]"), "the 50 tokens of a context of task 'copy'"),
            (added("tasks = [{kind = \"copy\", count = 0}]"), "tasks.count = 0 is too small"),
            (added("calibration = 512"), "calibration = 512 is a whole number: write a table"),
            (
                added("calibration = {texts = \"evaluation\"}"),
                "calibration.texts = \"evaluation\" is not allowed here",
            ),
            (
                added("calibration = {profile = \"p\", tokens = 3}"),
                "calibration.tokens has no effect beside calibration.profile: remove one",
            ),
            (added("calibration = {tokens = 1}"), "calibration.tokens = 1 is too small"),
            (added("seeds = [-1]"), "seeds lists -1, which is too small: write a whole number of at least 0"),
            (added("seeds = [\"a\"]"), "seeds lists \"a\", which is a string: write a whole number"),
            (added("forms = [true]"), "forms lists true, which is a boolean: write a string in quotes"),
            (
                added("[[profile]]\nname = \"p\"\nmodels = [\"m\"]\ntexts = \"suite\"\nlengths = [1]"),
                "'lab/sweep.toml', profile 'p': lengths lists 1, which is too small",
            ),
            (
                added("[[memory]]\nname = \"m\"\nmodels = [\"m\"]\ncontexts = 3"),
                "'lab/sweep.toml', memory 'm': contexts = 3 is a whole number: write a list in brackets",
            ),
            (changed("context = 896", "context = "), "line 8 is not TOML"),
        ];
        for (message, expected) in cases {
            assert!(message.contains(expected), "{message}\n  lacks: {expected}");
        }
    }

    #[test]
    fn names_are_unique_and_a_definition_has_a_section() {
        let body = &GOOD[GOOD.find("[[").unwrap()..];
        assert!(refusal(&format!("{GOOD}{body}")).contains("two sections are named 'scorers'"));
        assert!(refusal("analysis = 'refuted if'").contains("there is nothing to measure"));
        let other = body.replace("\"scorers\"", "\"others\"");
        assert_eq!(Definition::from_toml(&format!("{GOOD}{other}"), "d").unwrap().experiments.len(), 2);
    }

    #[test]
    fn a_file_is_read_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sweep.toml");
        std::fs::write(&path, WHOLE).unwrap();
        let definition = Definition::read(&path).unwrap();
        assert_eq!(definition.experiments[0].texts, TextSource::Folder(folder.path().join("own/texts")));
        assert!(
            Definition::read(Path::new("no/such.toml")).unwrap_err().to_string().contains("no/such.toml")
        );
    }

    /// Returns the role of a policy, as a registry would return it.
    fn role_of(policy: &str) -> Option<PolicyRole> {
        let has_part = |name: &str| policy.split(['+', '{']).any(|part| part.trim() == name);
        let all = [
            ("full", PolicyRole::Full),
            ("random", PolicyRole::Control),
            ("spread", PolicyRole::Control),
            ("oracle", PolicyRole::Oracle),
        ];
        let found = all.into_iter().find(|(name, _)| has_part(name)).map(|(_, role)| role);
        found.or((!has_part("nothing")).then_some(PolicyRole::Method))
    }

    #[test]
    fn an_experiment_must_list_its_controls() {
        let checked = |from: &str, to: &str| {
            let text = GOOD.replacen(from, to, 1);
            let result = Definition::from_toml(&text, "lab/sweep.toml").unwrap().check_roles(role_of);
            result.map_or_else(|error| error.to_string(), |()| "no error".to_owned())
        };
        assert_eq!(checked("x", "x"), "no error");
        assert_eq!(
            checked("\"full\", ", ""),
            "'lab/sweep.toml', experiment 'scorers': policies lacks the full cache, which every experiment needs as a \
             reference: add \"full\", or write controls = false and give the reason in the key analysis of this experiment"
        );
        assert!(
            checked("+random", "+recency{sinks=4}")
                .contains("policies lacks random choice with uniform budgets")
        );
        let many = "policies = [\"uniform+recency\"]";
        let all = "policies = [\"full\", \" uniform+recency \", \"uniform+random\", \"uniform + oracle{horizon=3}\"]";
        assert!(checked(all, many).contains(
            "policies lacks the full cache, random choice with uniform budgets and an oracle, which every experiment needs \
             as references: add \"full\", \"uniform+random\" and \"uniform+oracle\", or write controls = false"
        ));
        assert!(checked("uniform+random", "entropy+random").contains("add \"uniform+random\""));
        // Another control does not replace random choice.
        assert!(checked("uniform+random", "uniform+spread").contains("add \"uniform+random\""));
        assert!(checked("uniform+random", "uniform+nothing").contains("add \"uniform+random\""));
        assert!(checked("oracle", "recent").contains("policies lacks an oracle"));
        let off = "seeds = [0]\ncontrols = false\nanalysis = \"none\"\npolicies = [\"uniform+recency\"]\n";
        assert_eq!(
            checked(
                "policies = [\"full\", \" uniform+recency \", \"uniform+random\", \"uniform + oracle{horizon=3}\"]",
                off
            ),
            "no error"
        );
        let forms = format!("{off}metrics = [\"kl\", \"form\"]\nforms = [\"true\", \"plain-llama\"]\n");
        let message = checked(
            "policies = [\"full\", \" uniform+recency \", \"uniform+random\", \"uniform + oracle{horizon=3}\"]",
            &forms,
        );
        assert!(
            message.ends_with("which needs the full cache, but policies does not list it: add \"full\""),
            "{message}"
        );
    }
}
