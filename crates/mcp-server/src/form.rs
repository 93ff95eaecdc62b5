//! The form in which a client asks its user to decide, and what the answer says.

use rmcp::model::{
    ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema, EnumSchema,
    PrimitiveSchemaDefinition, StringSchema,
};
use serde_json::Value;
use staging_core::PatchId;

use crate::failure::Failure;
use crate::question::Shown;

/// The fields of the form.
const DECISION: &str = "decision";
const REASON: &str = "reason";
const PATCHES: &str = "patches";
/// What the first one may hold.
const APPROVE: &str = "approve";
const REJECT: &str = "reject";
const KEEP: &str = "keep pending";

/// How long a reason may be, in characters.
const REASON_MAX: usize = 4000;

/// What the user says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// These are to be applied.
    Approve(Vec<PatchId>),
    /// These are not wanted.
    Reject(Vec<PatchId>, Option<String>),
    /// Nothing is decided.
    Keep,
}

/// The form. It wants a choice, and has no default: a client that accepts it empty decides nothing.
pub(crate) fn form(message: String, shown: &Shown) -> Result<ElicitRequestParams, Failure> {
    let failed = |reason: &str| Failure::new(format!("no question: {reason}"));
    let words = [APPROVE, REJECT, KEEP].map(str::to_owned).to_vec();
    let choice = EnumSchema::builder(words)
        .title("Decision")
        .description("Approving applies exactly what is shown; anything else applies nothing")
        .build();
    let mut form = ElicitationSchema::builder()
        .required_property(DECISION, PrimitiveSchemaDefinition::Enum(choice))
        .property(
            REASON,
            PrimitiveSchemaDefinition::String(
                StringSchema::new().title("Reason").description("For the agent, when you reject"),
            ),
        );
    if shown.patches.len() > 1 {
        let words = format!("Only these, like `{}`; all when empty", shown.patches[0].id);
        let part = StringSchema::new().title("Patches").description(words);
        form = form.property(PATCHES, PrimitiveSchemaDefinition::String(part));
    }
    let requested_schema = form.build().map_err(failed)?;
    Ok(ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema })
}

/// What the answer says; only the words that were asked for decide anything.
pub(crate) fn verdict(result: &ElicitResult, shown: &Shown) -> Result<Verdict, Failure> {
    if result.action != ElicitationAction::Accept {
        return Ok(Verdict::Keep);
    }
    let field = |name: &str| result.content.as_ref().map_or(&Value::Null, |content| &content[name]);
    match field(DECISION).as_str() {
        Some(APPROVE) => Ok(Verdict::Approve(named(field(PATCHES), shown)?)),
        Some(REJECT) => Ok(Verdict::Reject(named(field(PATCHES), shown)?, reason(field(REASON)))),
        Some(KEEP) => Ok(Verdict::Keep),
        _ => Err(Failure::new(format!(
            "the answer is not `{APPROVE}`, `{REJECT}` or `{KEEP}`: nothing is applied"
        ))),
    }
}

/// The patches that the answer names, which the question has shown; all of them where it names none.
fn named(field: &Value, shown: &Shown) -> Result<Vec<PatchId>, Failure> {
    let text = match field {
        Value::Null => "",
        field => field.as_str().ok_or_else(|| Failure::new("the patches are no text"))?,
    };
    let words = text.split([' ', ',', ';', '\t', '\n']).filter(|word| !word.is_empty());
    let mut ids = Vec::new();
    for word in words {
        let id = word.parse().ok().filter(|id| shown.patches.iter().any(|one| one.id == *id));
        let id = id.ok_or_else(|| {
            Failure::new(format!(
                "`{}` is no patch that the question has shown: nothing is applied",
                crate::paths::shown(word)
            ))
        })?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.is_empty() {
        ids.extend(shown.patches.iter().map(|patch| patch.id));
    }
    Ok(ids)
}

fn reason(field: &Value) -> Option<String> {
    let text: String = field.as_str()?.trim().chars().take(REASON_MAX).collect();
    (!text.is_empty()).then_some(text)
}
