//! Builds a valid script from the kept lines.

use crate::Op;

/// Turns runs of kept lines, in order, into a script that covers both files.
#[derive(Debug, Default)]
pub struct ScriptBuilder {
    ops: Vec<Op>,
    old: u32,
    new: u32,
}

impl ScriptBuilder {
    /// A script at the start of both files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps `len` lines from `old` and `new`; the lines skipped since the previous run are deleted
    /// and inserted. Adjacent runs become one.
    ///
    /// # Panics
    ///
    /// If the run starts before the end of the previous one.
    pub fn keep(&mut self, old: u32, new: u32, len: u32) {
        assert!(
            old >= self.old && new >= self.new,
            "kept runs must be in order and must not overlap"
        );
        if len == 0 {
            return;
        }
        self.change_up_to(old, new);
        match self.ops.last_mut() {
            Some(last) if last.kind == Op::KEEP => last.len += len,
            _ => self.ops.push(Op::keep(old, new, len)),
        }
        self.old = old + len;
        self.new = new + len;
    }

    /// The script; the rest of both files is deleted and inserted.
    pub fn finish(mut self, old_len: u32, new_len: u32) -> Vec<Op> {
        self.change_up_to(old_len, new_len);
        self.ops
    }

    fn change_up_to(&mut self, old: u32, new: u32) {
        if old > self.old {
            self.ops.push(Op::delete(self.old, self.new, old - self.old));
            self.old = old;
        }
        if new > self.new {
            self.ops.push(Op::insert(self.old, self.new, new - self.new));
            self.new = new;
        }
    }
}
