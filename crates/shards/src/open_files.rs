//! [`OpenFiles`] reads one file of every shard, with few of them open at a time.

use bitkv_record::{RawRows, Row};
use std::collections::VecDeque;
use std::marker::PhantomData;

use crate::shards::Source;
use crate::{Error, Result};

/// The most files that are open at a time. Many systems allow 1,024 to a process.
const MOST_OPEN: usize = 256;

/// The files of rows of one kind, one of every shard. Each is read once, from its beginning to its end.
pub(crate) struct OpenFiles<'s, R> {
    sources: &'s [Source],
    name: &'static str,
    files: Vec<Option<RawRows>>,
    /// The open files, the one that was opened first at the front.
    open: VecDeque<u32>,
    line: String,
    kind: PhantomData<R>,
}

impl<'s, R: Row> OpenFiles<'s, R> {
    pub(crate) fn new(sources: &'s [Source], name: &'static str) -> Self {
        let files = sources.iter().map(|_| None).collect();
        OpenFiles { sources, name, files, open: VecDeque::new(), line: String::new(), kind: PhantomData }
    }

    /// Returns the file of a shard. It is opened if this is its first use.
    pub(crate) fn file(&mut self, source: u32) -> Result<&mut RawRows> {
        let index = source as usize;
        if !self.files[index].as_ref().is_some_and(RawRows::is_open) {
            if self.open.len() == MOST_OPEN
                && let Some(oldest) = self.open.pop_front()
                && let Some(file) = &mut self.files[oldest as usize]
            {
                file.close();
            }
            self.open.push_back(source);
        }
        let slot = &mut self.files[index];
        match slot {
            Some(file) => Ok(file),
            None => Ok(slot.insert(self.sources[index].open::<R>(self.name)?)),
        }
    }

    /// Reads the next `rows` lines of a shard, and gives each to `take`.
    pub(crate) fn copy(
        &mut self,
        source: u32,
        rows: u32,
        mut take: impl FnMut(&str, &RawRows) -> Result<()>,
    ) -> Result<()> {
        let mut line = std::mem::take(&mut self.line);
        let shard = self.sources[source as usize].shard;
        for _ in 0..rows {
            let file = self.file(source)?;
            if !file.next_line(&mut line)? {
                let path = self.sources[source as usize].folder.join(self.name);
                return Err(Error::Changed { path, shard });
            }
            take(&line, file)?;
        }
        self.line = line;
        Ok(())
    }

    /// Checks that every file was read to its end and is the one that its shard wrote.
    pub(crate) fn finish(mut self) -> Result<()> {
        for (number, source) in self.sources.iter().enumerate() {
            let Some(expected) = source.file(self.name) else { continue };
            self.file(number as u32)?;
            let found = self.files[number].take().map(RawRows::finish).transpose()?;
            self.open.retain(|open| *open as usize != number);
            if found.as_ref() != Some(expected) {
                return Err(Error::Changed { path: source.folder.join(self.name), shard: source.shard });
            }
        }
        Ok(())
    }
}
