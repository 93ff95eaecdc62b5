//! The schema of what `serve` speaks, derived from the types that are read and written.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::calls::schemas;
use super::events::{EndedView, EventView};
use super::protocol::{ErrorView, PROTOCOL};

/// The schema of each method's parameters and result, of errors and of notifications. Each is a JSON
/// Schema (2020-12) whose references lead into `$defs`.
///
/// A later version may add methods, optional parameters and fields of results; existing ones keep
/// their meaning while `protocol` stays the same.
pub(crate) fn schema() -> Value {
    let mut params = SchemaSettings::draft2020_12().into_generator();
    let mut results = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let methods = schemas(&mut params, &mut results);
    let error = results.subschema_for::<ErrorView<'static>>();
    let event = results.subschema_for::<EventView<'static>>();
    let ended = results.subschema_for::<EndedView<'static>>();
    let mut definitions = params.take_definitions(true);
    definitions.extend(results.take_definitions(true));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "protocol": PROTOCOL,
        "methods": methods,
        "error": error,
        "notifications": {
            "event": { "params": event },
            "subscription_ended": { "params": ended },
        },
        "$defs": definitions,
    })
}
