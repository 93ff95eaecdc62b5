//! The results of commands that were run on pending patches, by the signature of the patches.
//!
//! A signature covers the contents, so a result says nothing of a set that has changed since.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use staging_core::{CaptureDir, DiffStagingLayer, Signature, Timestamp};

use crate::failure::Failure;

/// The file with the results, in the directory of trials.
const FILE: &str = "results";

/// How many results are kept.
#[cfg(target_os = "linux")]
const KEPT_MAX: usize = 64;

/// The result of a command on a set.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TrialResult {
    /// The signature of the patches.
    pub(crate) signature: Signature,
    /// The command, for people.
    pub(crate) command: String,
    /// Its exit code.
    pub(crate) code: u8,
    /// When it ended.
    pub(crate) at: Timestamp,
    /// How long it ran, in milliseconds.
    pub(crate) took_ms: u64,
}

impl TrialResult {
    /// The line of a status.
    pub(crate) fn line(&self) -> String {
        let seconds = (Timestamp::now().unix_ms() - self.at.unix_ms()).max(0) / 1000;
        let ago = match seconds {
            0..120 => format!("{seconds} s"),
            120..7200 => format!("{} min", seconds / 60),
            7200..172_800 => format!("{} h", seconds / 3600),
            _ => format!("{} days", seconds / 86_400),
        };
        format!("exec: {}, {ago} ago", self.sentence())
    }

    /// What happened, for people.
    pub(crate) fn sentence(&self) -> String {
        match self.code {
            0 => format!("`{}` passed", self.command),
            code => format!("`{}` failed with exit code {code}", self.command),
        }
    }
}

/// The newest result of each signature.
#[derive(Debug, Default)]
pub(crate) struct Trials(Vec<TrialResult>);

impl Trials {
    pub(crate) fn read(layer: &DiffStagingLayer) -> Self {
        Self::in_dir(&layer.trial_dir())
    }

    fn in_dir(dir: &CaptureDir) -> Self {
        // A file that cannot be read proves nothing, as none does.
        let content = dir.read(FILE).ok().flatten().unwrap_or_default();
        Self(serde_json::from_slice(&content).unwrap_or_default())
    }

    /// The result for the set with this signature.
    pub(crate) fn of(&self, signature: &Signature) -> Option<&TrialResult> {
        self.0.iter().rev().find(|result| result.signature == *signature)
    }

    /// Refuses a set on which no command has succeeded.
    pub(crate) fn require(&self, signature: &Signature) -> Result<(), Failure> {
        let found = match self.of(signature) {
            Some(result) if result.code == 0 => return Ok(()),
            Some(result) => result.sentence(),
            None => "no `exec` has run".to_owned(),
        };
        let failure = Failure::refused(format!("{found} on the set with signature {signature}"));
        Err(failure.advise("Run its tests: `greenroom exec -- COMMAND`."))
    }

    /// Adds a result; the caller holds the directory's lock.
    #[cfg(target_os = "linux")]
    pub(crate) fn add(dir: &CaptureDir, result: TrialResult) -> Result<(), Failure> {
        let mut results = Self::in_dir(dir).0;
        results.retain(|old| old.signature != result.signature);
        results.push(result);
        let kept = &results[results.len().saturating_sub(KEPT_MAX)..];
        let content = serde_json::to_vec(kept).map_err(std::io::Error::from);
        let content = content.map_err(|error| Failure::io("cannot write the result", &error))?;
        Ok(dir.write(FILE, &content)?)
    }
}
