//! The definition of `bitkv sweep`: policies at budgets on models, with the controls that make them
//! comparable.

use std::path::PathBuf;

use bitkv_evict::Registry;
use bitkv_models::{Loading, Source, required, suite};
use bitkv_progress::Progress;
use bitkv_record::{AskedBudget, Definition, Form, Named as _, PolicyText, Split, TaskKind, Texts};
use toml::Value;

use crate::{
    Error, Result,
    error::{Place as _, Refuse as _, bail, ensure},
    grid::sources::in_folder,
};

/// The name of the definition in error messages.
const FILE: &str = "sweep.toml";
/// The controls. Recency is the baseline of the paired differences.
const CONTROLS: [&str; 4] = ["full", BASELINE, "uniform+random", "uniform+oracle"];
const BASELINE: &str = "uniform+recency";
/// The most tokens of a text that are read unless sizes are given: the context and what is scored after it.
const MOST: usize = 1024;
/// The fewest tokens of a text with which a sweep chooses its own sizes.
const FEWEST: usize = 72;

/// What a sweep measures.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    /// The models, as `--model` takes them.
    pub models: Vec<String>,
    /// How the models are read.
    pub loading: Loading,
    /// The policies; controls are added.
    pub policies: Vec<String>,
    /// The budgets; the full cache is added.
    pub budgets: Vec<AskedBudget>,
    /// A folder of texts; `None` for the evaluation texts of the suite.
    pub texts: Option<PathBuf>,
    /// The names of retrieval tasks, which are measured besides the texts.
    pub tasks: Vec<String>,
    /// The tokens in the cache when it is compressed; `None` to fit the models and texts.
    pub context_tokens: Option<usize>,
    /// The tokens that are scored after the context; `None` to fit the models and texts.
    pub scored_tokens: Option<usize>,
    /// The seed of everything random.
    pub seed: u64,
}

impl Sweep {
    /// Returns the definition of the sweep. Downloads are reported to `progress`.
    ///
    /// # Errors
    /// Returns an error if a policy, a task or a model cannot be found, if a text is too short, or if
    /// something is listed twice.
    pub fn definition(&self, registry: &Registry, progress: &dyn Progress) -> Result<Definition> {
        self.check(registry)?;
        let [context, scored] = self.sizes(progress)?;
        let texts = match &self.texts {
            // The definition is kept in the run folder, where a relative path would name another folder.
            Some(folder) => folder
                .canonicalize()
                .refuse(Error::File, format!("cannot read --texts {}", folder.display()))?
                .display()
                .to_string(),
            None => "evaluation".to_owned(),
        };
        let pairs = self.pairs();
        let mut entries: Vec<(&str, Value)> = vec![
            ("name", "sweep".into()),
            ("models", self.models.clone().into()),
            ("texts", texts.into()),
            ("context", integer(context)?),
            ("horizon", integer(scored)?),
            ("budgets", self.budget_values()),
            ("policies", self.with_controls().into()),
            ("tasks", [vec!["text".to_owned()], self.tasks.clone()].concat().into()),
            ("seeds", vec![integer(self.seed).at("--seed")?].into()),
        ];
        if self.loading.plain_llama {
            entries.push(("forms", vec![Form::PlainLlama.name()].into()));
        }
        if !pairs.is_empty() {
            entries.push(("pairs", pairs.into()));
        }
        let section: String = entries.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let text = format!(
            "# `bitkv sweep` wrote this definition.\nanalysis = '''\nWhich of these policies costs the model least at equal memory? \
             That a policy is better than recency is refuted\nat a budget if the 95 % interval of the paired \
             difference in KL includes zero or is above it.\n'''\n\n[[experiment]]\n{section}"
        );
        Ok(Definition::from_toml(&text, FILE)?)
    }

    /// Checks what can be checked without a model. Messages name the options.
    fn check(&self, registry: &Registry) -> Result<()> {
        ensure!(
            Definition,
            !self.policies.is_empty(),
            "--policies names no policy: name one or more, such as snapkv"
        );
        ensure!(
            Definition,
            !self.budgets.is_empty(),
            "--ratios and --budgets name no budget: name one or more, such as 4x"
        );
        for policy in &self.policies {
            registry.policy(policy).at(format!("--policies {policy}"))?;
        }
        for task in &self.tasks {
            let kind = TaskKind::from_name(task)
                .map_err(|reason| Error::Definition(format!("--tasks: {reason}")))?;
            ensure!(
                Definition,
                kind != TaskKind::Text,
                "--tasks text: texts are always measured, so leave it out"
            );
        }
        let budgets: Vec<String> = self.budgets.iter().map(ToString::to_string).collect();
        for (option, list) in [
            ("--model", &self.models),
            ("--policies", &self.policies),
            ("--tasks", &self.tasks),
            ("--ratios and --budgets", &budgets),
        ] {
            let twice = (1..list.len()).find(|&i| list[..i].contains(&list[i]));
            if let Some(i) = twice {
                bail!(Definition, "{option}: {} is listed twice: list it once", list[i]);
            }
        }
        for (option, tokens) in
            [("--context-tokens", self.context_tokens), ("--scored-tokens", self.scored_tokens)]
        {
            ensure!(Definition, tokens != Some(0), "{option} 0 is too small: use 1 or more");
        }
        Ok(())
    }

    /// Returns the full budget and then the budgets that were asked for.
    fn budget_values(&self) -> Value {
        let value = |budget: &AskedBudget| match budget {
            AskedBudget::Fraction(fraction) => Value::from(*fraction),
            other => other.to_string().into(),
        };
        let asked = self.budgets.iter().filter(|budget| **budget != AskedBudget::FULL);
        [&AskedBudget::FULL].into_iter().chain(asked).map(value).collect::<Vec<_>>().into()
    }

    /// Returns the policies that were asked for, and the controls that are not among them.
    fn with_controls(&self) -> Vec<String> {
        let asked: Vec<PolicyText> = self.policies.iter().map(|policy| PolicyText::new(policy)).collect();
        let missing = CONTROLS.iter().filter(|control| !asked.contains(&PolicyText::new(control)));
        self.policies.iter().cloned().chain(missing.map(|control| (*control).to_owned())).collect()
    }

    /// Returns the pairs whose differences are reported: every policy that was asked for, and recency.
    fn pairs(&self) -> Vec<Vec<String>> {
        let is_control =
            |policy: &&String| CONTROLS.iter().any(|c| PolicyText::new(c) == PolicyText::new(policy));
        let compared = self.policies.iter().filter(|policy| !is_control(policy));
        compared.map(|policy| vec![policy.clone(), BASELINE.to_owned()]).collect()
    }

    /// Returns the tokens of the context and the tokens that are scored. Unless they are given, they fit the
    /// shortest text and the model that reads the fewest tokens, and an eighth of the tokens is scored.
    fn sizes(&self, progress: &dyn Progress) -> Result<[usize; 2]> {
        if let (Some(context), Some(scored)) = (self.context_tokens, self.scored_tokens) {
            return Ok([context, scored]);
        }
        let texts = match &self.texts {
            Some(folder) => {
                Texts::from_folder(folder, Split::Evaluation).map_err(|e| in_folder("--texts", folder, e))?
            }
            None => suite::texts()?.only(Split::Evaluation),
        };
        let mut most = MOST;
        for model in &self.models {
            let source = Source::find_with(model, self.loading, progress).at("--model")?;
            let checkpoint = source.checkpoint()?;
            most = most.min(checkpoint.config().max_position_embeddings);
            let tokenizer = source.tokenizer(&checkpoint)?;
            let tokenizer = required(tokenizer.as_ref(), &source.name())?;
            for text in texts.all() {
                let (tokens, _) = tokenizer.encode_beginning(&text.content, MOST).at(&text.entry.file)?;
                let tokens = tokens.len();
                ensure!(
                    Unfit,
                    tokens >= FEWEST,
                    "--texts: {} has {tokens} tokens with {}, and {FEWEST} are needed: use longer texts, or give both \
                     --context-tokens and --scored-tokens",
                    text.entry.file,
                    source.name()
                );
                most = most.min(tokens);
            }
        }
        // The last scored token has a target.
        let scored = self.scored_tokens.unwrap_or(most / 8 - 1);
        Ok([self.context_tokens.unwrap_or(most.saturating_sub(scored + 1).max(1)), scored])
    }
}

fn integer(value: impl TryInto<i64> + Copy + std::fmt::Display) -> Result<Value> {
    let number = value
        .try_into()
        .map_err(|_| Error::Definition(format!("{value} is too large: use at most 2^63 - 1")));
    number.map(Value::from)
}
