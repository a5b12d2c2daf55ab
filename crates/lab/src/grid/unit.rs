//! The contexts that cells are measured on.

use anyhow::{Context as _, Result, ensure};
use bitkv_record::{Experiment, GridTask, ScoredTask, TaskKind, Text, Texts};

use crate::{
    Subject,
    tasks::{self, Question, Words},
    window::{Window, bytes_of},
};

/// A context, read once, and what is scored after it.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Name of the text or of the generated context.
    pub name: String,
    /// Register of the text, or the task.
    pub register: String,
    /// What is scored.
    pub task: ScoredTask,
    /// Tokens in the cache when it is cut.
    pub context: Vec<u32>,
    /// What policies see beyond the context before they cut: the last token of a question, where they are aware of it.
    /// The cache does not hold it, because the answer begins behind it and has to be predicted through the cut cache.
    pub peek: Vec<u32>,
    /// What is scored after the cut.
    pub scored: Scored,
    /// One row each: the depth of the questions in it and their indices. A text has one without questions.
    pub groups: Vec<Group>,
}

/// Questions of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Where their answers stand in the context, 0..1; none where they have no place or many.
    pub depth: Option<f64>,
    /// Indices of the questions.
    pub questions: Vec<usize>,
}

/// What is scored after the cut.
#[derive(Clone, Debug)]
pub enum Scored {
    /// The text goes on.
    Text {
        /// Tokens read through the cut cache.
        continuation: Vec<u32>,
        /// The token that really follows each.
        targets: Vec<u32>,
        /// UTF-8 bytes of the targets.
        bytes: usize,
    },
    /// Questions, each asked of the cut cache alone.
    Questions(Vec<Question>),
}

/// Every unit of an experiment on a model.
///
/// # Errors
/// When texts are too short, or the model has no tokenizer or too few positions.
pub(super) fn units(experiment: &Experiment, subject: &Subject, texts: &Texts) -> Result<Vec<Unit>> {
    let mut all = Vec::new();
    for task in &experiment.tasks {
        all.extend(match task.task.kind {
            TaskKind::Text => of_texts(experiment, subject, texts)?,
            _ => of_retrieval(experiment, subject, task)?,
        });
    }
    let longest = all.iter().map(Unit::longest).max().unwrap_or(0);
    let positions = subject.config().max_position_embeddings;
    ensure!(
        longest <= positions,
        "context and what is scored take {longest} positions and {} has {positions}: shorten context or horizon",
        subject.name
    );
    Ok(all)
}

impl Unit {
    /// Tokens of the context and the longest that follows it.
    pub fn longest(&self) -> usize {
        let after = match &self.scored {
            Scored::Text { continuation, .. } => continuation.len(),
            Scored::Questions(questions) => questions.iter().map(|q| q.asked().len()).max().unwrap_or(0),
        };
        self.context.len() + after
    }

    /// All tokens read: what stands for the unit in keys.
    pub fn tokens(&self) -> Vec<u32> {
        let mut tokens = [&self.context[..], &self.peek].concat();
        match &self.scored {
            Scored::Text { continuation, targets, .. } => {
                tokens.extend(continuation.iter().chain(targets));
            }
            Scored::Questions(questions) => {
                questions.iter().for_each(|q| tokens.extend(q.prompt.iter().chain(&q.answer)));
            }
        }
        tokens
    }
}

fn of_texts(experiment: &Experiment, subject: &Subject, texts: &Texts) -> Result<Vec<Unit>> {
    let all: Vec<&Text> = texts.all().iter().collect();
    let windows = Window::of_all(subject, &all, experiment.context + experiment.horizon + 1)
        .context("context and horizon are too long for texts")?;
    let unit = |window: Window| {
        let (context, rest) = window.tokens.split_at(experiment.context);
        let targets = rest[1..].to_vec();
        Ok(Unit {
            name: window.name,
            register: window.register,
            task: ScoredTask::TEXT,
            context: context.to_vec(),
            peek: Vec::new(),
            scored: Scored::Text {
                continuation: rest[..experiment.horizon].to_vec(),
                bytes: bytes_of(subject, &targets)?,
                targets,
            },
            groups: vec![Group { depth: None, questions: Vec::new() }],
        })
    };
    windows.into_iter().map(unit).collect()
}

fn of_retrieval(experiment: &Experiment, subject: &Subject, task: &GridTask) -> Result<Vec<Unit>> {
    let kind = tasks::Kind::of(task.task.kind).context("tasks lists something that asks no questions")?;
    let words = Words::of(subject)?;
    let seed = experiment.seeds.first().copied().unwrap_or(0);
    let mut units = Vec::new();
    for index in 0..task.count {
        let drawn = tasks::draw(kind, &words, task.tokens, index, seed)
            .with_context(|| format!("tasks: `{}` cannot be drawn for {}", task.task, subject.name))?;
        let name = format!("{}-{}-{index:02}", task.task, task.tokens);
        let unit = |name: String, context: Vec<u32>, peek: Vec<u32>, questions: Vec<Question>| Unit {
            name,
            register: kind.name().into(),
            task: task.task,
            context,
            peek,
            groups: groups(&questions),
            scored: Scored::Questions(questions),
        };
        if !task.task.aware {
            units.push(unit(name, drawn.context, Vec::new(), drawn.questions));
            continue;
        }
        for (number, question) in drawn.questions.into_iter().enumerate() {
            let (context, question) = aware(&drawn.context, question);
            let (name, peek) = (format!("{name}-{number:02}"), question.prompt.clone());
            units.push(unit(name, context, peek, vec![question]));
        }
    }
    Ok(units)
}

/// The question moves into the context, but for its last token, which remains to be asked.
fn aware(context: &[u32], question: Question) -> (Vec<u32>, Question) {
    let (last, seen) = question
        .prompt
        .split_last()
        .map_or((&[][..], &[][..]), |(last, seen)| (std::slice::from_ref(last), seen));
    let context = [context, seen].concat();
    let prompt = last.to_vec();
    (context, Question { prompt, ..question })
}

/// Parts of the context by which questions are grouped when their answers stand in many places.
const PARTS: usize = 4;

/// Questions by depth: each depth its own row where there are few, else one row for every quarter of the context.
fn groups(questions: &[Question]) -> Vec<Group> {
    let mut depths: Vec<Option<f64>> = Vec::new();
    for question in questions {
        if !depths.contains(&question.depth) {
            depths.push(question.depth);
        }
    }
    let few = depths.len() <= PARTS;
    let place = |question: &Question| match question.depth {
        Some(depth) if !few => {
            let part = ((depth * PARTS as f64) as usize).min(PARTS - 1);
            Some((part as f64 + 0.5) / PARTS as f64)
        }
        depth => depth,
    };
    let mut groups: Vec<Group> = Vec::new();
    for (index, question) in questions.iter().enumerate() {
        let depth = place(question);
        match groups.iter_mut().find(|group| group.depth == depth) {
            Some(group) => group.questions.push(index),
            None => groups.push(Group { depth, questions: vec![index] }),
        }
    }
    groups.sort_by(|a, b| a.depth.partial_cmp(&b.depth).unwrap_or(std::cmp::Ordering::Equal));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(depth: Option<f64>) -> Question {
        Question { prompt: vec![1, 2], answer: vec![3, 4], depth }
    }

    #[test]
    fn few_depths_stay_and_many_are_gathered() {
        let few = groups(&[question(Some(0.5)), question(Some(0.1)), question(Some(0.5))]);
        assert_eq!(
            few,
            [
                Group { depth: Some(0.1), questions: vec![1] },
                Group { depth: Some(0.5), questions: vec![0, 2] },
            ]
        );
        let many: Vec<Question> = [0.0, 0.1, 0.3, 0.6, 1.0].map(|d| question(Some(d))).into();
        let gathered = groups(&many);
        assert_eq!(
            gathered.iter().map(|g| g.depth.unwrap()).collect::<Vec<_>>(),
            [0.125, 0.375, 0.625, 0.875]
        );
        assert_eq!(gathered[0].questions, [0, 1]);
        assert_eq!(groups(&[question(None)]), [Group { depth: None, questions: vec![0] }]);
    }

    #[test]
    fn an_aware_policy_sees_the_question_but_not_its_last_token() {
        let (context, question) = aware(&[9, 9], question(None));
        assert_eq!((context, question.prompt.clone()), (vec![9, 9, 1], vec![2]));
        assert_eq!(question.asked(), [2, 3]);
    }
}
