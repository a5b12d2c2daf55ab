//! The rows of `rows.csv`: one for each cell on each context, whether it was measured or failed.

mod format_1;

use crate::column::{ANY, DIFFERENCE, FROM_ONE, FROM_ZERO, UNIT, rows, unit};
use crate::{
    Arithmetic, AskedBudget, Axes, Column, Compressor, IsaClass, PolicyRole, Row, RowError, ScoredTask,
    WeightKind, When, column::Presence,
};

/// The number of hex digits in the key of a row and in the hash of a plan.
const DIGITS: usize = 16;

rows! {
    /// One row: a cell (a policy at a budget with its axes) of a model, measured on one context. If that
    /// failed, [`GridRow::error`] says why and there are no results.
    GridRow;

    /// The key of the row: the first 16 hex digits of a SHA-256 of the model, tokens, policy, budget, axes
    /// and code.
    key: String, Required;
    /// The name of the experiment.
    experiment: String, Required;
    /// The name of the model, followed by `+plain-llama` if it ran in that form.
    model: String, Required;
    /// The kind of weights that the model was trained with. Empty in files of format 1.
    weights: Option<WeightKind>, Optional;
    /// The numbers that the linear layers multiplied. Empty in files of format 1.
    arithmetic: Option<Arithmetic>, Optional;
    /// The class of instruction sets that gives these numbers. Empty in files of format 1.
    isa: Option<IsaClass>, Optional;
    /// The canonical specification of the policy; "full" for the full cache.
    policy: String, Required;
    /// The policy as the definition writes it, for example the name of a preset. Empty in files of format 1.
    written: String, Optional;
    /// The role of the policy.
    role: PolicyRole, Optional;
    /// Whether the policy sees something that no deployable policy can see.
    oracle: bool, Optional;
    /// Whether the policy keeps exactly as many entries as it is asked to.
    conserving: bool, Optional;
    /// The tokens that the policy keeps regardless of their score, such as `sinks=4 recent=8`. Empty for
    /// rules.
    guard: String, Optional;
    /// What happens to the entries that are not kept.
    compressor: Compressor, Optional;
    /// The budget: how much of the cache the policy was asked to keep.
    budget: AskedBudget, Required;
    /// The form, time of eviction, positions and KV format.
    axes: Axes, axes;
    /// The seed of random choices.
    seed: u64, Optional;
    /// The task that was scored.
    task: ScoredTask, Required;
    /// The name of the text, or of the generated context.
    text: String, Required;
    /// The register of the text, for example "dialogue"; for a generated context, the task.
    register: String, Optional;
    /// The number of tokens in the cache when it was compressed.
    context_tokens: usize, Required;
    asked_entries: Option<usize>, Optional, "entries asked for", Entries, FROM_ONE, Neither,
        "The entries that the budget asks for, summed over layers and KV heads.";
    kept_entries: Option<usize>, Result, "entries kept", Entries, FROM_ONE, Lower,
        "The entries that the policy really kept, summed over layers and KV heads.";
    full_entries: Option<usize>, Optional, "entries of the full cache", Entries, FROM_ONE, Neither,
        "The entries of the full cache, summed over layers and KV heads.";
    cache_bytes: Option<u64>, Optional, "cache", Bytes, FROM_ONE, Lower,
        "The size of the compressed cache, including the scales, zero points and residual windows of its format.";
    full_bytes: Option<u64>, Optional, "full cache", Bytes, FROM_ONE, Neither,
        "The size of the full cache in f16.";
    /// The first 16 hex digits of a SHA-256 of the kept positions.
    plan_hash: Option<String>, Optional;
    attention_cosine: Option<f64>, Result, "attention cosine, as published" of Attention, Cosine, UNIT,
        Higher, "The mean cosine of the last query's attention rows with their kept parts, as published.";
    retained_mass: Option<f64>, Result, "retained attention mass" of Attention, Share, UNIT, Higher,
        "The mean share of the last query's attention that is on kept keys.";
    output_error: Option<f64>, Result, "error of the attention output" of OutputError, Relative, FROM_ZERO,
        Lower,
        "The norm of the error of the attention output, divided by the norm of the output with the full cache.";
    kl_nats: Option<f64>, Result, "KL" of Kl, Nats, FROM_ZERO, Lower,
        "The KL divergence of the next-token distribution from that of the full cache.";
    kl_median: Option<f64>, Result, "median KLD" of Kl, Nats, FROM_ZERO, Lower,
        "The median over the scored tokens of the KL divergence.";
    kl_p90: Option<f64>, Result, "90.0 % KLD" of Kl, Nats, FROM_ZERO, Lower,
        "The 90 % quantile over the scored tokens of the KL divergence.";
    kl_p95: Option<f64>, Result, "95.0 % KLD" of Kl, Nats, FROM_ZERO, Lower,
        "The 95 % quantile over the scored tokens of the KL divergence.";
    kl_p99: Option<f64>, Result, "99.0 % KLD" of Kl, Nats, FROM_ZERO, Lower,
        "The 99 % quantile over the scored tokens of the KL divergence.";
    kl_p999: Option<f64>, Result, "99.9 % KLD" of Kl, Nats, FROM_ZERO, Lower,
        "The 99.9 % quantile over the scored tokens of the KL divergence.";
    kl_max: Option<f64>, Result, "maximum KLD" of Kl, Nats, FROM_ZERO, Lower,
        "The largest KL divergence of any scored token.";
    agreement: Option<f64>, Result, "agreement" of Kl, Share, UNIT, Higher,
        "The share of scored tokens whose most likely token is that of the full cache: llama.cpp's same top p.";
    dp_mean: Option<f64>, Result, "mean Δp" of Kl, Share, DIFFERENCE, Higher,
        "The mean change of the probability of the token that follows in the text, against the full cache.";
    dp_rms: Option<f64>, Result, "RMS Δp" of Kl, Share, UNIT, Lower,
        "The root mean square change of the probability of the token that follows in the text.";
    nll_nats: Option<f64>, Result, "NLL" of Kl, Nats, FROM_ZERO, Lower,
        "The negative log-likelihood of the text after the eviction, read through the compressed cache.";
    nll_difference: Option<f64>, Result, "NLL increase over the full cache" of Kl, Nats, ANY, Lower,
        "The negative log-likelihood through the compressed cache minus that through the full cache.";
    uniform_nats: Option<f64>, Optional, "NLL of a uniform guess" of Kl, Nats, FROM_ZERO, Neither,
        "The negative log-likelihood of giving every token of the vocabulary the same probability.";
    form_kl_nats: Option<f64>, Result, "KL from the true form" of Form, Nats, FROM_ZERO, Lower,
        "The KL divergence of the next-token distribution from that of the true form, with full caches.";
    form_agreement: Option<f64>, Result, "agreement with the true form" of Form, Share, UNIT, Higher,
        "The share of scored tokens for which the most likely token is that of the true form, with full caches.";
    /// The number of tokens scored through the compressed cache.
    targets: usize, Optional;
    bytes_scored: Option<usize>, Optional, "text scored" of Kl, Bytes, FROM_ONE, Neither,
        "The number of UTF-8 bytes of the scored tokens.";
    first_divergence: Option<usize>, Result, "greedy tokens before the first difference" of FreeRunning,
        Tokens, FROM_ZERO, Higher,
        "The length of the common prefix with the full cache's greedy continuation.";
    matching_fraction: Option<f64>, Result, "greedy tokens that match" of FreeRunning, Share, UNIT, Higher,
        "The share of positions at which the greedy continuation has the same token as that of the full cache.";
    correct: Option<usize>, Result, "answers right", Answers, FROM_ZERO, Higher,
        "The number of right answers to the questions of a retrieval task.";
    /// One digit for each question of the row, in the order of the questions: 1 if the answer is right, 0 if
    /// it is wrong. Empty if nothing was asked.
    answers: Option<String>, Result;
    answer_evicted: Option<f64>, Result, "answer tokens evicted from all heads", Share, UNIT, Lower,
        "The share of the answers' tokens in the context that no KV head of any layer keeps.";
    answer_heads: Option<f64>, Result, "heads that keep an answer token", Share, UNIT, Higher,
        "The share of all KV heads that keep a token of an answer, averaged over these tokens.";
    /// The number of questions.
    questions: usize, Optional;
    chance: Option<f64>, Optional, "answers right when guessing", Share, UNIT, Neither,
        "The share of answers that guessing among the tokens of the context gets right.";
    /// Where the answer is in the context: 0 at the start, 1 at the end.
    depth: Option<f64>, Optional;
    /// Why the cell failed, in one line (see [`one_line()`](crate::one_line())). Empty if it was measured.
    error: Option<String>, Optional;
}

impl GridRow {
    /// Describes the failure of the cell; `None` if it did not fail.
    pub fn failure(&self) -> Option<String> {
        let Self { policy, model, budget, text, error, .. } = self;
        error.as_ref().map(|error| format!("{policy} of {model} at budget {budget} on {text}: {error}"))
    }
}

impl Row for GridRow {
    const KIND: &'static str = "cell";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn key(&self) -> String {
        self.key.clone()
    }

    fn check(&self) -> Result<(), RowError> {
        check_hash("key", &self.key)?;
        self.check_error()?;
        self.check_entries()?;
        self.check_scores()
    }

    fn upgrade(&mut self) {
        self.role = format_1::role(&self.policy, self.oracle);
    }
}

impl GridRow {
    /// Returns the name of the policy in a report: the name of a preset if the definition has one, otherwise
    /// the canonical specification.
    pub fn policy_name(&self) -> &str {
        match self.written.contains(['+', '{']) || self.written.is_empty() {
            true => &self.policy,
            false => &self.written,
        }
    }

    /// Checks that a failed cell has no results and that its error is one line.
    fn check_error(&self) -> Result<(), RowError> {
        let Some(error) = &self.error else { return Ok(()) };
        if error.trim().is_empty() || error.contains(['\n', '\r']) {
            return Err(RowError::NotOneLine { error: error.clone() });
        }
        let given =
            |column: &&Column<Self>| column.presence == Presence::Result && !(column.get)(self).is_missing();
        match COLUMNS.iter().find(given) {
            Some(column) => Err(RowError::ResultOfFailure { column: column.name }),
            None => Ok(()),
        }
    }

    /// Checks the hash of the plan and the numbers of entries against each other.
    fn check_entries(&self) -> Result<(), RowError> {
        if let Some(hash) = &self.plan_hash {
            check_hash("plan_hash", hash)?;
        }
        if let (Some(kept), Some(full)) = (self.kept_entries, self.full_entries)
            && kept > full
        {
            return Err(RowError::MoreThanFull { kept, full });
        }
        // The size after eviction is known in advance only if the cache is evicted once.
        if let (true, Some(asked), Some(kept)) = (self.conserving, self.asked_entries, self.kept_entries)
            && self.axes.when == When::ONCE
            && asked != kept
        {
            return Err(RowError::NotConserved { kept, asked });
        }
        Ok(())
    }

    /// Checks the scores against the numbers of questions and scored tokens.
    fn check_scores(&self) -> Result<(), RowError> {
        if self.correct.is_some_and(|correct| correct > self.questions) {
            return Err(RowError::MoreAnswersThanQuestions { questions: self.questions });
        }
        self.check_answers()?;
        if self.targets == 0 && (self.kl_nats.or(self.agreement).or(self.nll_nats)).is_some() {
            return Err(RowError::NoTargets);
        }
        unit("depth", self.depth)
    }

    /// Checks that there is one digit 0 or 1 for each question, and a 1 for each right answer.
    fn check_answers(&self) -> Result<(), RowError> {
        let Some(answers) = &self.answers else { return Ok(()) };
        let Some(correct) = self.correct else {
            return Err(RowError::AnswersWithoutCorrect { answers: answers.clone() });
        };
        let count = |digit: char| answers.chars().filter(|&found| found == digit).count();
        let (right, wrong) = (count('1'), count('0'));
        match (right + wrong, answers.len()) == (self.questions, self.questions) && correct == right {
            true => Ok(()),
            false => {
                Err(RowError::OtherAnswers { answers: answers.clone(), questions: self.questions, correct })
            }
        }
    }
}

/// Checks that a value is the beginning of a hash in lower-case hex digits.
pub(crate) fn check_hash(column: &'static str, text: &str) -> Result<(), RowError> {
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    match text.len() == DIGITS && text.bytes().all(digit) {
        true => Ok(()),
        false => Err(RowError::NotAHash { column, text: text.to_owned(), digits: DIGITS }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_row;
    use crate::{TaskKind, read_rows, write_rows};

    /// Returns a measured cell.
    fn row(key: u64) -> GridRow {
        GridRow {
            key: format!("{key:016x}"),
            experiment: "e".into(),
            model: "m".into(),
            policy: "uniform{a=\"x,y\"}+recency".into(),
            oracle: false,
            conserving: true,
            budget: AskedBudget::Fraction(0.1),
            seed: u64::MAX,
            task: ScoredTask::TEXT,
            text: "a".into(),
            register: "prose".into(),
            context_tokens: 100,
            asked_entries: Some(10),
            kept_entries: Some(10),
            full_entries: Some(100),
            cache_bytes: Some(640),
            full_bytes: Some(6400),
            plan_hash: Some("0123456789abcdef".into()),
            attention_cosine: Some(1.0 / 3.0),
            retained_mass: Some(0.1 + 0.2),
            output_error: Some(5e-324),
            kl_nats: Some(1.0e300 / 7.0),
            agreement: Some(1.0),
            nll_nats: Some(2.0f64.sqrt()),
            nll_difference: Some(-0.0),
            targets: 8,
            first_divergence: Some(3),
            matching_fraction: Some(0.375),
            correct: None,
            questions: 0,
            depth: None,
            ..GridRow::default()
        }
    }

    /// Returns a cell that failed.
    fn failed(key: u64) -> GridRow {
        let none = GridRow { attention_cosine: None, retained_mass: None, output_error: None, ..row(key) };
        let none = GridRow { kl_nats: None, agreement: None, nll_nats: None, nll_difference: None, ..none };
        let none = GridRow { first_divergence: None, matching_fraction: None, plan_hash: None, ..none };
        let none = GridRow { kept_entries: None, cache_bytes: None, ..none };
        GridRow { error: Some(crate::one_line("no plan:\n  too \"small\", by 3\r\n")), ..none }
    }

    /// Returns a cell with four questions, the given answers and the number of right ones.
    fn answered(answers: &str, correct: usize) -> GridRow {
        GridRow { answers: Some(answers.into()), correct: Some(correct), questions: 4, ..row(1) }
    }

    #[test]
    fn rows_read_back_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        let answers = GridRow {
            task: ScoredTask { kind: TaskKind::CommonWords, aware: true },
            budget: AskedBudget::Bytes(32 << 10),
            axes: Axes { when: When { prefill_chunk: Some(64), every: Some(8) }, ..Axes::default() },
            correct: Some(3),
            questions: 4,
            answers: Some("0111".into()),
            depth: Some(0.7),
            ..row(2)
        };
        let rows = [row(1), answers, failed(3)];
        write_rows(&path, &rows).unwrap();
        let read = read_rows::<GridRow>(&path).unwrap();
        assert_eq!(read, rows);
        assert!(read[0].nll_difference.unwrap().is_sign_negative(), "-0 is not 0");
        assert_eq!(read[2].error.as_deref(), Some("no plan: too \"small\", by 3"));
    }

    #[test]
    fn impossible_rows_are_errors() {
        let cases = [
            (GridRow { key: "ABC".into(), ..row(1) }, "key = 'ABC'"),
            (GridRow { plan_hash: Some("x".into()), ..row(1) }, "plan_hash = 'x'"),
            (GridRow { kept_entries: Some(101), conserving: false, ..row(1) }, "more than full_entries"),
            (GridRow { kept_entries: Some(9), ..row(1) }, "conserving is true"),
            (GridRow { agreement: Some(1.5), ..row(1) }, "agreement = 1.5"),
            (GridRow { depth: Some(-1.0), ..row(1) }, "depth = -1"),
            (GridRow { kl_nats: Some(f64::NAN), ..row(1) }, "kl_nats = NaN"),
            (GridRow { nll_difference: Some(f64::INFINITY), ..row(1) }, "nll_difference = inf"),
            (GridRow { correct: Some(1), ..row(1) }, "more than questions"),
            (GridRow { targets: 0, ..row(1) }, "targets = 0"),
            (GridRow { dp_mean: Some(-1.5), ..row(1) }, "dp_mean = -1.5 is not between -1 and 1"),
            (answered("0110", 3), "'0110' is not 4 digits 0 or 1 with 3 ones"),
            (answered("011", 2), "'011' is not 4 digits 0 or 1 with 2 ones"),
            (answered("01102", 2), "'01102' is not 4 digits"),
            (answered("01\u{661}", 1), "is not 4 digits"),
            (GridRow { correct: None, ..answered("0000", 0) }, "answers = '0000' without correct: write"),
            (GridRow { answers: Some("0".into()), ..failed(1) }, "answers has a value, although"),
            (GridRow { error: Some("late".into()), ..row(1) }, "has a value, although"),
            (GridRow { kept_entries: Some(10), ..failed(1) }, "kept_entries has a value, although"),
            (GridRow { error: Some("two\nlines".into()), ..failed(1) }, "not one line"),
            (GridRow { error: Some(String::new()), ..failed(1) }, "not one line"),
        ];
        for (row, expected) in cases {
            let reason = check_row(&row).unwrap_err().to_string();
            assert!(reason.contains(expected), "{reason}");
        }
        let evicted_again = GridRow {
            axes: Axes { when: When::DECODING, ..Axes::default() },
            kept_entries: Some(9),
            ..row(1)
        };
        assert_eq!(
            check_row(&evicted_again),
            Ok(()),
            "only one eviction after the prefill keeps exactly the entries asked for"
        );
    }

    /// The header and two rows of a file of format 1.
    const FORMAT_1: &str = "\
        key,experiment,model,form,policy,oracle,conserving,budget,when,positions,kv,seed,task,text,register,\
        context_tokens,asked_entries,kept_entries,full_entries,cache_bytes,full_bytes,plan_hash,\
        attention_cosine,retained_mass,output_error,kl_nats,agreement,nll_nats,nll_difference,targets,\
        first_divergence,matching_fraction,correct,questions,depth,error\n\
        0123456789abcdef,e,m,llama-skeleton,uniform+random,false,true,0.5,once,original,f16,0,text,a,prose,8,\
        4,4,8,32,64,0123456789abcdef,,,,0.25,1.0,2.5,0.1,3,,,,0,,\n\
        0123456789abcdee,e,m,true,entropy-inverted,true,false,64 tokens,chunked-128,original,kivi2,0,\
        recall-aware,a,prose,8,,,,,,,,,,,,,,0,,,,4,0.5,too short\n";

    #[test]
    fn rows_of_format_1_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, FORMAT_1).unwrap();
        let mut notes = Vec::new();
        let rows = crate::read_rows_noting::<GridRow>(&path, &mut notes).unwrap();
        assert_eq!((rows.len(), notes.len()), (2, 0));
        assert_eq!((rows[0].axes.form, rows[0].role), (crate::Form::PlainLlama, PolicyRole::Control));
        assert_eq!((rows[1].role, rows[1].oracle, rows[1].kl_nats), (PolicyRole::Published, true, None));
        assert_eq!((rows[0].written.as_str(), rows[0].isa), ("", None), "missing columns are empty");
        assert_eq!((rows[0].kl_max, rows[0].dp_rms, &rows[0].answers), (None, None, &None));
        // Written again, the rows have the current format.
        write_rows(&path, &rows).unwrap();
        assert_eq!(read_rows::<GridRow>(&path).unwrap(), rows);
    }

    #[test]
    fn a_preset_has_the_name_in_the_definition() {
        let preset = GridRow { written: "snapkv".into(), ..row(1) };
        assert_eq!(preset.policy_name(), "snapkv");
        let written_out = GridRow { written: "uniform + recency{ sinks = 4 }".into(), ..row(1) };
        assert_eq!(written_out.policy_name(), written_out.policy);
    }
}
