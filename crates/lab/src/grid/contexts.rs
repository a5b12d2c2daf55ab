//! The contexts of a grid: the units of work that shards divide among themselves.

use bitkv_record::{ContextRow, Shard};

use super::{job::Grid, memory::MemoryJob, profiles::ProfileJob};

/// One context of a grid: a length of a memory study, a text of a profile, or a unit of an experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkContext {
    /// The part of the grid that it belongs to.
    pub part: Part,
    /// The index of the job among those of its part.
    pub job: usize,
    /// The name of the study.
    pub study: String,
    /// The name of the model.
    pub model: String,
    /// The name of the text or of the generated context; for a memory study, the length in tokens.
    pub text: String,
    /// The number of rows that the context has if nothing fails.
    pub rows: usize,
    /// The estimated cost in millions of multiplications. It depends only on shapes, so that all shards agree
    /// on it.
    pub cost: u64,
}

/// The parts of a grid, in the order in which they are measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// The memory studies.
    Memory,
    /// The profiles of heads.
    Profiles,
    /// The experiments.
    Experiments,
}

impl Part {
    /// Returns the file that has the rows of the part.
    pub fn file(self) -> &'static str {
        match self {
            Part::Memory => "memory.csv",
            Part::Profiles => "heads.csv",
            Part::Experiments => "rows.csv",
        }
    }
}

/// Returns every context of a grid, in the order of a run.
pub fn contexts(grid: &Grid) -> Vec<WorkContext> {
    let mut all = Vec::new();
    for (job, memory) in grid.memory.iter().enumerate() {
        all.extend(memory_contexts(job, memory));
    }
    for (job, profile) in grid.profiles.iter().enumerate() {
        all.extend(profile_contexts(job, profile));
    }
    for (number, job) in grid.jobs.iter().enumerate() {
        all.extend(job.units.iter().map(|unit| WorkContext {
            part: Part::Experiments,
            job: number,
            study: job.experiment.name.clone(),
            model: job.loaded.name.clone(),
            text: unit.name.clone(),
            rows: job.cells_of(unit).count() * unit.groups.len(),
            cost: super::cost::unit(job, unit),
        }));
    }
    all
}

fn memory_contexts(number: usize, job: &MemoryJob) -> impl Iterator<Item = WorkContext> {
    job.lengths().into_iter().map(move |length| WorkContext {
        part: Part::Memory,
        job: number,
        study: job.name().to_owned(),
        model: job.model().to_owned(),
        text: length.to_string(),
        rows: job.rows() / job.contexts().max(1),
        cost: job.measuring_model().map_or(0, |loaded| super::cost::prefill(loaded.config(), length)),
    })
}

fn profile_contexts(number: usize, job: &ProfileJob) -> impl Iterator<Item = WorkContext> {
    let texts = job.text_names();
    let rows = job.rows() / texts.len().max(1);
    texts.into_iter().map(move |text| WorkContext {
        part: Part::Profiles,
        job: number,
        study: job.name().to_owned(),
        model: job.model().to_owned(),
        text,
        rows,
        cost: super::cost::prefill(job.loaded().config(), job.longest()),
    })
}

/// The contexts that one process measures, and those that it leaves to other shards.
pub(super) struct Share {
    all: Vec<WorkContext>,
    /// Whether this process measures each of them.
    own: Vec<bool>,
}

impl Share {
    /// Returns the share of a shard, or everything if there is no shard.
    pub(super) fn new(grid: &Grid, shard: Option<Shard>) -> Share {
        let all = contexts(grid);
        let own = match shard {
            None => vec![true; all.len()],
            Some(Shard { index, count }) => {
                assigned(&all, count).into_iter().map(|shard| shard == index - 1).collect()
            }
        };
        Share { all, own }
    }

    /// Returns the number of contexts of the whole run.
    pub(super) fn all(&self) -> usize {
        self.all.len()
    }

    /// Returns the number of rows that this process measures, timings not counted.
    pub(super) fn rows(&self) -> usize {
        self.all.iter().zip(&self.own).filter(|(_, own)| **own).map(|(context, _)| context.rows).sum()
    }

    /// Returns, for each context of a job, whether this process measures it.
    pub(super) fn measured_by_job(&self, part: Part, job: usize) -> Vec<bool> {
        let is_of_job = |context: &WorkContext| context.part == part && context.job == job;
        let both = self.all.iter().zip(&self.own);
        both.filter(|(context, _)| is_of_job(context)).map(|(_, own)| *own).collect()
    }

    /// Returns the rows of `contexts.csv`. `counts` has the number of rows and of timings of each own
    /// context, in the order of the run.
    pub(super) fn listed(&self, counts: &[(usize, usize)]) -> Vec<ContextRow> {
        let own = self.all.iter().enumerate().zip(&self.own).filter(|(_, own)| **own);
        let own = own.map(|((number, context), _)| (number, context));
        own.zip(counts)
            .map(|((number, context), (rows, timings))| context.row(number, *rows, *timings))
            .collect()
    }
}

impl WorkContext {
    /// Returns the row of `contexts.csv` of the context `number` of the run.
    fn row(&self, number: usize, rows: usize, timings: usize) -> ContextRow {
        ContextRow {
            context: number,
            file: self.part.file().to_owned(),
            study: self.study.clone(),
            model: self.model.clone(),
            text: self.text.clone(),
            expected: self.rows,
            rows,
            timings,
        }
    }
}

/// Returns the shard of every context, counted from 0.
pub(super) fn assigned(contexts: &[WorkContext], shards: u32) -> Vec<u32> {
    let costs: Vec<u64> = contexts.iter().map(|context| context.cost).collect();
    bitkv_shards::assign(&costs, shards)
}
