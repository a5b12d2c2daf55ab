//! [`Unit`]s: the contexts that cells are measured on, and what is scored after each.

use bitkv_models::LoadedModel;
use bitkv_record::{Experiment, GridTask, ScoredTask, TaskKind, Text, Texts};

use crate::{
    Result,
    error::{Place as _, ensure},
    tasks::{self, Question, Retrieval, Words},
    text_use::TextUse,
    window::{Window, decoded_bytes},
};

/// A context, which is read once, and what is scored after it.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The name of the text or of the generated context.
    pub name: String,
    /// The register of the text, or the name of the task.
    pub register: String,
    /// The task that is scored.
    pub task: ScoredTask,
    /// The number of the generated context within its task, from 0; `None` for a text.
    pub number: Option<usize>,
    /// The tokens in the cache when it is compressed.
    pub context: Vec<u32>,
    /// The tokens that policies see beyond the context before they evict: the last token of the question if
    /// policies are aware of it, otherwise nothing. The cache does not hold this token, because the answer
    /// follows it and must be predicted through the compressed cache.
    pub lookahead: Vec<u32>,
    /// What is scored after eviction.
    pub scored: Scored,
    /// The groups of questions. Each group gives one row per cell. A text has one group without questions.
    pub groups: Vec<QuestionGroup>,
}

/// The questions of one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuestionGroup {
    /// The position of the answers in the context, from 0 to 1; `None` if the answers have no position or
    /// several.
    pub depth: Option<f64>,
    /// The indices of the questions.
    pub questions: Vec<usize>,
    /// The expected fraction of right answers when guessing; `None` without questions.
    pub chance: Option<f64>,
    /// The positions in the context of the tokens of all answers; empty if the answers have no positions.
    pub answer_positions: Vec<u32>,
}

/// What is scored after eviction.
#[derive(Clone, Debug)]
pub enum Scored {
    /// The continuation of a text.
    Text {
        /// The tokens that are read through the compressed cache.
        continuation: Vec<u32>,
        /// The token that follows each of them in the text.
        targets: Vec<u32>,
        /// The number of UTF-8 bytes of the targets.
        bytes: usize,
    },
    /// Questions, each asked directly after the compressed context.
    Questions(Vec<Question>),
    /// Questions that are all asked in one continuation.
    Together {
        /// The questions with their answers.
        continuation: Vec<u32>,
        /// For each question, the index in the continuation after which the answer is predicted, and the
        /// answer.
        answers: Vec<(usize, u32)>,
    },
}

impl Scored {
    /// Returns the sequences of tokens that are read after eviction, each from a copy of the cache.
    pub fn sequences(&self) -> Vec<Vec<u32>> {
        match self {
            Scored::Text { continuation, .. } | Scored::Together { continuation, .. } => {
                vec![continuation.clone()]
            }
            Scored::Questions(questions) => questions.iter().map(Question::asked).collect(),
        }
    }
}

/// Returns all units of an experiment on a model, and how much of its texts is read.
///
/// # Errors
/// Returns an error if texts are too short, or the model has no tokenizer or too few positions.
pub(super) fn units(
    experiment: &Experiment,
    loaded: &LoadedModel,
    texts: &Texts,
) -> Result<(Vec<Unit>, Option<TextUse>)> {
    let (mut all, mut text_use) = (Vec::new(), None);
    for task in &experiment.tasks {
        let units = match task.task.kind {
            TaskKind::Text => {
                let windows = text_windows(experiment, loaded, texts)?;
                text_use = Some(TextUse::new(&experiment.name, &loaded.name, "texts", &windows));
                text_units(experiment, loaded, windows)?
            }
            _ => retrieval_units(experiment, loaded, task)?,
        };
        check_positions(&units, task, loaded)?;
        all.extend(units);
    }
    Ok((all, text_use))
}

/// Returns an error if a unit of a task takes more positions than the model has.
fn check_positions(units: &[Unit], task: &GridTask, loaded: &LoadedModel) -> Result<()> {
    check_length(units.iter().map(Unit::longest).max().unwrap_or(0), task, loaded)
}

/// Returns an error if a context of a task and what follows it take more positions than the model has.
fn check_length(longest: usize, task: &GridTask, loaded: &LoadedModel) -> Result<()> {
    let (positions, task) = (loaded.config().max_position_embeddings, task.task);
    let name = &loaded.name;
    ensure!(
        Definition,
        longest <= positions || task.kind != TaskKind::Text,
        "the context and the scored tokens take {longest} positions, and {name} has {positions}: shorten context or \
         horizon"
    );
    ensure!(
        Definition,
        longest <= positions,
        "tasks: a context of `{task}` and its questions take {longest} positions, and {name} has {positions}: set a \
         smaller number of tokens, as {{ kind = \"{task}\", tokens = N }}"
    );
    Ok(())
}

impl Unit {
    /// Returns the number of tokens of the context and of the longest sequence after it.
    pub fn longest(&self) -> usize {
        let after = self.scored.sequences().iter().map(Vec::len).max();
        self.context.len() + after.unwrap_or(0)
    }

    /// Returns all tokens that are read or scored; the keys of rows depend on them.
    pub fn tokens(&self) -> Vec<u32> {
        let mut tokens = [&self.context[..], &self.lookahead].concat();
        match &self.scored {
            Scored::Text { continuation, targets, .. } => {
                tokens.extend(continuation.iter().chain(targets));
            }
            Scored::Questions(questions) => {
                questions.iter().for_each(|q| tokens.extend(q.prompt.iter().chain(&q.answer)));
            }
            Scored::Together { continuation, .. } => tokens.extend(continuation),
        }
        tokens
    }
}

/// Returns the tokens of every text that an experiment reads or scores.
fn text_windows(experiment: &Experiment, loaded: &LoadedModel, texts: &Texts) -> Result<Vec<Window>> {
    let all: Vec<&Text> = texts.all().iter().collect();
    Window::all(loaded, &all, experiment.context.saturating_add(experiment.horizon).saturating_add(1))
        .at("texts")
}

fn text_units(experiment: &Experiment, loaded: &LoadedModel, windows: Vec<Window>) -> Result<Vec<Unit>> {
    let unit = |window: Window| {
        let (context, after) = window.tokens.split_at(experiment.context);
        let targets = after[1..].to_vec();
        Ok(Unit {
            name: window.name,
            register: window.register,
            task: ScoredTask::TEXT,
            number: None,
            context: context.to_vec(),
            lookahead: Vec::new(),
            scored: Scored::Text {
                continuation: after[..experiment.horizon].to_vec(),
                bytes: decoded_bytes(loaded, &targets)?,
                targets,
            },
            groups: vec![QuestionGroup::default()],
        })
    };
    windows.into_iter().map(unit).collect()
}

fn retrieval_units(experiment: &Experiment, loaded: &LoadedModel, task: &GridTask) -> Result<Vec<Unit>> {
    let words = Words::from_model(loaded)?;
    let words = match task.task.kind {
        TaskKind::NeedleInProse => words.with_prose(loaded)?,
        _ => words,
    };
    let seed = experiment.seeds.first().copied().unwrap_or(0);
    let mut units = Vec::new();
    // A context that the model cannot read must not be drawn: it may be longer than the memory.
    check_length(task.tokens, task, loaded)?;
    for index in 0..task.count {
        let drawn = tasks::draw(task.task.kind, &words, task.tokens, index, seed)
            .at(format!("tasks: `{}` cannot be drawn for {}", task.task, loaded.name))?;
        let name = format!("{}-{}-{index:02}", task.task, task.tokens);
        if task.task.aware {
            units.extend(aware_units(task.task, index, &name, drawn));
            continue;
        }
        let groups = groups(&drawn);
        let scored = match task.task.kind {
            TaskKind::RecallTogether => together(&drawn, words.newline()),
            _ => Scored::Questions(drawn.questions),
        };
        let register = task.task.kind.to_string();
        let (context, lookahead) = (drawn.context, Vec::new());
        let (task, number) = (task.task, Some(index));
        units.push(Unit { name, register, task, number, context, lookahead, scored, groups });
    }
    Ok(units)
}

/// Returns all questions in one continuation. The answer to each is predicted after the last token of its
/// prompt.
fn together(drawn: &Retrieval, newline: u32) -> Scored {
    let (mut answers, mut at) = (Vec::new(), 0);
    for question in &drawn.questions {
        answers.push((at + question.prompt.len() - 1, question.answer[0]));
        at += question.prompt.len() + question.answer.len() + 1;
    }
    Scored::Together { continuation: drawn.together(newline), answers }
}

/// Returns one unit per question. The cache is evicted separately for each question, and the policy sees that
/// question.
fn aware_units(task: ScoredTask, index: usize, name: &str, drawn: Retrieval) -> Vec<Unit> {
    let unit = |(number, question): (usize, &Question)| {
        let (context, asked) = aware(&drawn.context, question.clone());
        let chance = Some(drawn.chance(&[number]));
        Unit {
            name: format!("{name}-{number:02}"),
            register: task.kind.to_string(),
            task,
            number: Some(index),
            context,
            lookahead: asked.prompt.clone(),
            groups: vec![QuestionGroup {
                depth: question.depth,
                questions: vec![0],
                chance,
                answer_positions: question.positions.clone(),
            }],
            scored: Scored::Questions(vec![asked]),
        }
    };
    drawn.questions.iter().enumerate().map(unit).collect()
}

/// Returns the context followed by the question without its last token, and the question that is asked after
/// the eviction.
fn aware(context: &[u32], question: Question) -> (Vec<u32>, Question) {
    let (seen, last) = question.prompt.split_at(question.prompt.len().saturating_sub(1));
    ([context, seen].concat(), Question { prompt: last.to_vec(), ..question })
}

/// The number of parts of the context by which questions are grouped if their answers have many depths.
const PARTS: usize = 4;

/// Groups questions by depth: one group per depth if there are at most [`PARTS`] depths, otherwise one group
/// per quarter of the context.
fn groups(drawn: &Retrieval) -> Vec<QuestionGroup> {
    let questions = &drawn.questions;
    let mut depths: Vec<Option<f64>> = Vec::new();
    for question in questions {
        if !depths.contains(&question.depth) {
            depths.push(question.depth);
        }
    }
    let few = depths.len() <= PARTS;
    let group_depth = |question: &Question| match question.depth {
        Some(depth) if !few => {
            let part = ((depth * PARTS as f64) as usize).min(PARTS - 1);
            Some((part as f64 + 0.5) / PARTS as f64)
        }
        depth => depth,
    };
    let mut groups: Vec<QuestionGroup> = Vec::new();
    for (index, question) in questions.iter().enumerate() {
        let depth = group_depth(question);
        match groups.iter_mut().find(|group| group.depth == depth) {
            Some(group) => group.questions.push(index),
            None => {
                groups.push(QuestionGroup { depth, questions: vec![index], ..QuestionGroup::default() });
            }
        }
    }
    for group in &mut groups {
        group.chance = Some(drawn.chance(&group.questions));
        let positions = |&index: &usize| questions[index].positions.iter().copied();
        group.answer_positions = group.questions.iter().flat_map(positions).collect();
    }
    groups.sort_by(|a, b| a.depth.partial_cmp(&b.depth).unwrap_or(std::cmp::Ordering::Equal));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(depth: Option<f64>) -> Question {
        let position = (depth.unwrap_or_default() * 10.0) as u32;
        Question { prompt: vec![1, 2], answer: vec![3, 4], depth, positions: vec![position, position + 1] }
    }

    /// Returns a group of [`question`]s, whose answers are guessed right in one of four cases.
    fn group(depth: f64, questions: &[usize], answer_positions: &[u32]) -> QuestionGroup {
        QuestionGroup {
            depth: Some(depth),
            questions: questions.to_vec(),
            chance: Some(0.25),
            answer_positions: answer_positions.to_vec(),
        }
    }

    #[test]
    fn few_depths_have_a_group_each_and_many_are_grouped_by_quarter() {
        let grouped = |questions: &[Question]| {
            groups(&Retrieval { context: vec![1, 2], questions: questions.to_vec() })
        };
        let few = grouped(&[question(Some(0.5)), question(Some(0.1)), question(Some(0.5))]);
        assert_eq!(few, [group(0.1, &[1], &[1, 2]), group(0.5, &[0, 2], &[5, 6, 5, 6]),]);
        let many: Vec<Question> = [0.0, 0.1, 0.3, 0.6, 1.0].map(|d| question(Some(d))).into();
        let gathered = grouped(&many);
        assert_eq!(
            gathered.iter().map(|g| g.depth.unwrap()).collect::<Vec<_>>(),
            [0.125, 0.375, 0.625, 0.875]
        );
        assert_eq!(
            (&gathered[0].questions[..], &gathered[0].answer_positions[..]),
            (&[0, 1][..], &[0, 1, 1, 2][..])
        );
        assert_eq!(grouped(&[question(None)])[0].questions, [0]);
    }

    #[test]
    fn an_aware_policy_sees_the_question_but_not_its_last_token() {
        let (context, question) = aware(&[9, 9], question(None));
        assert_eq!((context, question.prompt.clone()), (vec![9, 9, 1], vec![2]));
        assert_eq!(question.asked(), [2, 3]);
    }
}
