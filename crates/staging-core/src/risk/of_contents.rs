//! Risks that only a patch's contents show.

use diff_engine::Remark;

use crate::patch::Patch;
use crate::risk::kind::{Risk, RiskKind};
use crate::risk::manifest::changed_scripts;

/// A content with fewer lines is often written anew.
const LINES_MIN: u64 = 20;

/// The contents of a patch about a file; `None` where there is none, or it is too long to be loaded.
pub(crate) struct Texts<'t> {
    pub(crate) old: Option<&'t [u8]>,
    pub(crate) new: Option<&'t [u8]>,
    /// How many lines the diff removes.
    pub(crate) removed: u64,
}

/// The risks that the remarks of the diff engine and the contents show.
pub(crate) fn of_contents<'r>(
    patch: &Patch,
    texts: &Texts<'_>,
    remarks: impl Iterator<Item = &'r Remark>,
) -> Vec<Risk> {
    let mut risks: Vec<Risk> = Vec::new();
    for risk in remarks.filter_map(risk_of) {
        // One risk of a kind, with all that there is to say.
        match risks.iter_mut().find(|known| known.kind == risk.kind) {
            Some(known) => known.add(risk.detail),
            None => risks.push(risk),
        }
    }
    let is_new_form =
        |risk: &Risk| matches!(risk.kind, RiskKind::Encoding | RiskKind::FullReplacement);
    if !patch.changes_kind() && !risks.iter().any(is_new_form) {
        risks.extend(rewritten(texts));
    }
    risks.extend(changed_scripts(patch, texts.old, texts.new));
    risks
}

impl Risk {
    fn add(&mut self, detail: Option<String>) {
        let details = self.detail.take().into_iter().chain(detail);
        let mut details: Vec<String> = details.collect();
        details.dedup();
        self.detail = Some(details.join(", ")).filter(|detail| !detail.is_empty());
    }
}

/// The risk that a remark of the diff engine is about; none where it is about the diff.
pub(crate) fn risk_of(remark: &Remark) -> Option<Risk> {
    let kind = match remark {
        Remark::LineEndingsFlipped { .. }
        | Remark::NoLongerUtf8
        | Remark::BecameUtf8
        | Remark::ByteOrderMark { .. }
        | Remark::Utf16 { .. }
        | Remark::Utf32 { .. } => RiskKind::Encoding,
        Remark::ReplacedBinary | Remark::ReplacedTooLarge { .. } => RiskKind::FullReplacement,
        _ => return None,
    };
    Some(Risk::with(kind, remark.to_string()))
}

/// Whether hardly a line is left of a text that goes on existing.
fn rewritten(texts: &Texts<'_>) -> Option<Risk> {
    let old = texts.old?;
    if texts.new?.is_empty() {
        return None;
    }
    let lines = memchr::memchr_iter(b'\n', old).count() as u64 + u64::from(!old.ends_with(b"\n"));
    let is_rewritten = lines >= LINES_MIN && texts.removed * 10 > lines * 9;
    let detail = || format!("{} of {lines} lines", texts.removed.min(lines));
    is_rewritten.then(|| Risk::with(RiskKind::FullReplacement, detail()))
}
