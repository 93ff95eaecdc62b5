//! How a patch fitted the files.

use patch_formats::MatchLevel;

use crate::stage::patch_text::FittedFile;

/// Remarks about hunks that fitted in another place or in another way than they say, and about files
/// that the patch was not made from.
pub fn placement_remarks(fitted: &[FittedFile]) -> Vec<String> {
    let mut remarks = Vec::new();
    for FittedFile { path, placements, is_base, .. } in fitted {
        for placement in placements {
            let (hunk, line, level) = (placement.hunk, placement.line, placement.level);
            if let Some(offset) = placement.offset.filter(|offset| *offset != 0) {
                remarks.push(format!(
                    "hunk {hunk} of `{path}` fits at line {line}, {offset:+} lines from its header"
                ));
            }
            if level != MatchLevel::Exact {
                let added = match level >= MatchLevel::Blanks {
                    true => ", and added lines are indented as the file is",
                    false => "",
                };
                remarks.push(format!(
                    "hunk {hunk} of `{path}` fits at line {line}, but for {level}; the lines of \
                     the file stay{added}"
                ));
            }
        }
        if *is_base == Some(false) {
            remarks.push(format!("`{path}` is not the file that the patch was made from"));
        }
    }
    remarks
}
