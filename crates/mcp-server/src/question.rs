//! The question: everything that would be approved, in text that cannot mislead.

use std::fmt::Write as _;

use staging_core::{
    DiffOptions, DiffStagingLayer, Patch, PatchId, ReviewCommands, Selection, Session, Signature,
    StagingError, check_client_approval, escape_for_display, set_signature,
};

use crate::answers::{line, risks};
use crate::failure::Failure;
use crate::reading::Bounded;
use crate::review::own;

/// How much text a question may have: what a person reads in a dialogue, and more.
const DIFF_BYTES_MAX: usize = 24 << 10;
/// How many patches one question may be about.
const PATCHES_MAX: usize = 20;

/// A question to a person.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) shown: Shown,
    pub(crate) message: String,
    /// The command that approves the same in a terminal.
    pub(crate) command: String,
}

/// What a question showed, and its answer would decide about.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) patches: Vec<Patch>,
}

impl Shown {
    /// What an approval of these of its patches names.
    pub(crate) fn signature_of(&self, ids: &[PatchId]) -> Signature {
        let part: Vec<Patch> =
            self.patches.iter().filter(|patch| ids.contains(&patch.id)).cloned().collect();
        set_signature(&part)
    }
}

/// The question about these patches of a session, all of them when none are named; refused where
/// a client's word is not enough, or the question could not show everything.
pub(crate) fn of(
    layer: &DiffStagingLayer,
    session: &Session,
    ids: Option<&[String]>,
) -> Result<Question, Failure> {
    let selection = layer.select(&own(layer, session, ids)?)?;
    let Selection { patches, signature, .. } = selection.whole(false)?;
    if patches.is_empty() {
        return Err(StagingError::NothingPending.into());
    }
    check_client_approval(&patches, Some(signature)).map_err(|error| match error {
        StagingError::ConfirmationMissing { patches } => Failure::new(format!(
            "{} replaces a whole file without a diff, which cannot be approved through a client: \
             the user approves it with `greenroom apply` in a terminal",
            patches.first().map(line).unwrap_or_default()
        )),
        error => error.into(),
    })?;
    let mut diff = Bounded::new(DIFF_BYTES_MAX);
    let written = layer.write_diff(&patches, &DiffOptions::default(), &mut diff);
    let is_too_long = matches!(written, Err(StagingError::Output { .. }));
    if patches.len() > PATCHES_MAX || is_too_long {
        return Err(Failure::new(format!(
            "a question can show at most {PATCHES_MAX} patches and {DIFF_BYTES_MAX} bytes of diff: \
             name fewer patches in `ids`, or ask the user to approve in a terminal"
        )));
    }
    written?;
    let command = ReviewCommands::of(&patches).apply;
    let message = message(session, &patches, signature, &diff.bytes, &command);
    Ok(Question { shown: Shown { patches }, message, command })
}

fn message(
    session: &Session,
    patches: &[Patch],
    signature: Signature,
    diff: &[u8],
    command: &str,
) -> String {
    let (id, label) = (session.id, &session.label);
    let mut text =
        format!("An agent asks to change files on the disk (session {id} `{label}`).\n\n");
    text.push_str(&risks(patches));
    for patch in patches {
        let bytes = match (&patch.base, patch.staged) {
            (Some(base), Some(staged)) => {
                format!("{} -> {} bytes", base.content.bytes, staged.bytes)
            }
            (None, Some(staged)) => format!("{} bytes", staged.bytes),
            (Some(base), None) => format!("{} bytes gone", base.content.bytes),
            (None, None) => String::new(),
        };
        let _ = writeln!(text, "{}, {bytes}", line(patch));
        for remark in &patch.diff.remarks {
            let _ = writeln!(text, "  note: {remark}");
        }
    }
    let mut bytes = format!("{text}signature: {signature}\n\n").into_bytes();
    bytes.extend_from_slice(diff);
    let word =
        "\nThe log records that this client approved for you. To decide in a terminal instead:";
    bytes.extend_from_slice(format!("{word} `{command}`").as_bytes());
    escape_for_display(&bytes).into_owned()
}
