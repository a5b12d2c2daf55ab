//! Errors of rows whose values are impossible.

/// Why a value of a row, or several values together, are impossible. The message is a clause that names the
/// columns.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each message says what the variant and its fields are")]
pub enum RowError {
    #[error("{column} = {value} is not finite")]
    NotFinite { column: &'static str, value: f64 },
    #[error("{column} = {value} is not between {low} and {}", bound(*.high))]
    OutOfRange { column: &'static str, value: f64, low: f64, high: f64 },
    #[error("{column} = '{text}' is not {digits} lower-case hex digits")]
    NotAHash { column: &'static str, text: String, digits: usize },
    #[error("error = {error:?} is not one line of text")]
    NotOneLine { error: String },
    #[error("{column} has a value, although the column error says that the cell failed")]
    ResultOfFailure { column: &'static str },
    #[error("kept_entries = {kept} is more than full_entries = {full}")]
    MoreThanFull { kept: usize, full: usize },
    #[error("conserving is true, but kept_entries = {kept} is not asked_entries = {asked}")]
    NotConserved { kept: usize, asked: usize },
    #[error("correct is more than questions = {questions}")]
    MoreAnswersThanQuestions { questions: usize },
    #[error(
        "answers = '{answers}' is not {questions} digits 0 or 1 with {correct} ones, as questions and correct say"
    )]
    OtherAnswers { answers: String, questions: usize, correct: usize },
    #[error(
        "answers = '{answers}' without correct: write the number of right answers into the column correct"
    )]
    AnswersWithoutCorrect { answers: String },
    #[error("targets = 0, so there can be no KL, agreement or NLL")]
    NoTargets,
    #[error("total_bytes = {total} is not the sum of its parts, {sum}")]
    NotTheSum { total: f64, sum: f64 },
    #[error("rows = {rows} is more than expected = {expected}")]
    MoreThanExpected { rows: usize, expected: usize },
    #[error("kv_fraction = {found} is not kv_bytes / total_bytes = {expected}")]
    NotTheQuotient { found: f64, expected: f64 },
}

/// Returns an upper bound, as messages show it.
fn bound(high: f64) -> String {
    if high == f64::MAX { "infinity".to_owned() } else { high.to_string() }
}
