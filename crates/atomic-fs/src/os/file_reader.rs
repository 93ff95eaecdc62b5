//! An open file as a reader.

use std::io::{self, Read};

use crate::os::disk::Disk;

/// Reads an open file from its start.
pub(crate) struct FileReader<'a, D: Disk> {
    pub disk: &'a D,
    pub file: &'a D::File,
    pub offset: u64,
}

impl<D: Disk> Read for FileReader<'_, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.disk.read_at(self.file, buffer, self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}
