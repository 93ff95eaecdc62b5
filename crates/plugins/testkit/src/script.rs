//! The rules of a script, written independently of the host that enforces them.

use strategy_api::Op;

/// Checks that a script follows the rules.
///
/// # Errors
///
/// The first rule it breaks.
pub fn check_script(old: &[u32], new: &[u32], ops: &[Op]) -> Result<(), String> {
    let (mut old_at, mut new_at) = (0_usize, 0_usize);
    for (at, op) in ops.iter().enumerate() {
        if op.len == 0 {
            return Err(format!("operation {at} is empty"));
        }
        if (op.old as usize, op.new as usize) != (old_at, new_at) {
            return Err(format!("operation {at} does not start where the last ended"));
        }
        let length = op.len as usize;
        let (old_len, new_len) = match op.kind {
            Op::KEEP => (length, length),
            Op::DELETE => (length, 0),
            Op::INSERT => (0, length),
            kind => return Err(format!("operation {at} has the unknown kind {kind}")),
        };
        let old_run = old.get(old_at..old_at + old_len);
        let new_run = new.get(new_at..new_at + new_len);
        let (Some(old_run), Some(new_run)) = (old_run, new_run) else {
            return Err(format!("operation {at} goes past the end"));
        };
        if op.kind == Op::KEEP && old_run != new_run {
            return Err(format!("operation {at} keeps lines that differ"));
        }
        (old_at, new_at) = (old_at + old_len, new_at + new_len);
    }
    if (old_at, new_at) != (old.len(), new.len()) {
        return Err("the operations do not cover both files".to_owned());
    }
    Ok(())
}

/// The new file's ids, from the lines that the script keeps of the old file and inserts from the new.
///
/// # Panics
///
/// If the script goes past the end of a file.
pub fn reconstruct(old: &[u32], new: &[u32], ops: &[Op]) -> Vec<u32> {
    let mut out = Vec::with_capacity(new.len());
    for op in ops {
        match op.kind {
            Op::KEEP => out.extend(&old[op.old as usize..][..op.len as usize]),
            Op::INSERT => out.extend(&new[op.new as usize..][..op.len as usize]),
            _ => {}
        }
    }
    out
}
