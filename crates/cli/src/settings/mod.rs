//! The user's configuration: `$XDG_CONFIG_HOME/greenroom/config.toml`.

mod check;
mod duration;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use staging_core::{Digest, Hosting, StagingOptions, TrustedLibrary};

pub(crate) use self::check::BUNDLED;

use self::duration::parse_duration;
use crate::failure::Failure;
use crate::files::{SETTINGS_BYTES_MAX, read_regular};
use crate::paths::shown;

/// Everything the file can say. What it does not say keeps its default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    diff: Diff,
    plugins: Plugins,
    session: Session,
    history: History,
    limits: Limits,
    mcp: Mcp,
    allow_yes_under_agents: bool,
    durable_proposals: Option<bool>,
    allow_git: Option<bool>,
    allow_hard_links: Option<bool>,
    allow_other_mounts: Option<bool>,
    allow_move_aside: Option<bool>,
    strategies: Vec<Library>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Diff {
    strategy: Option<String>,
    size_max_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Plugins {
    deadline_ms: Option<u64>,
    memory_max_bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Session {
    #[serde(deserialize_with = "duration")]
    expires_after: Option<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct History {
    #[serde(deserialize_with = "duration")]
    keep_for: Option<Duration>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Limits {
    session_bytes_max: Option<u64>,
    session_patches_max: Option<u32>,
    stored_bytes_max: Option<u64>,
}

/// What only the user decides about agents that speak the Model Context Protocol. None of it is an
/// option of the command, whose command line may stand in a file of the workspace.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Mcp {
    approve_by_elicitation: bool,
    #[serde(deserialize_with = "duration")]
    elicitation_wait: Option<Duration>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Library {
    name: String,
    path: PathBuf,
    #[serde(deserialize_with = "digest")]
    blake3: Digest,
    /// A crash of the library is then a crash of the command.
    #[serde(default)]
    in_process: bool,
}

impl Settings {
    /// Reads the file; defaults when there is none.
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        match read_regular(file, SETTINGS_BYTES_MAX) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Self::parse(&text, file),
                Err(error) => Err(wrong(file, &format!(", {}", check::no_utf8(&error)))),
            },
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(Failure::io(
                format_args!("cannot read the configuration `{}`", shown(file)),
                &source,
            )),
        }
    }

    fn parse(text: &str, file: &Path) -> Result<Self, Failure> {
        let wrong = |reason: &str| wrong(file, reason);
        match check::mistakes(text).as_slice() {
            [] => {}
            [only] => return Err(wrong(&format!(", {only}"))),
            several => {
                let lines: String =
                    several.iter().map(|mistake| format!("\n  {mistake}")).collect();
                let message = format!(" has {} mistakes:{lines}", several.len());
                return Err(wrong(&message));
            }
        }
        toml::from_str(text).map_err(|error| wrong(&format!(": {}", error.message())))
    }

    /// The libraries that strategies come from.
    pub(crate) fn libraries(&self) -> impl Iterator<Item = &Path> {
        self.strategies.iter().map(|library| library.path.as_path())
    }

    /// How long a question to the client's user stays open; none unless the user turned such
    /// questions on.
    pub(crate) fn elicitation_wait(&self) -> Option<Duration> {
        const DEFAULT: Duration = Duration::from_secs(5 * 60);
        self.mcp.approve_by_elicitation.then(|| self.mcp.elicitation_wait.unwrap_or(DEFAULT))
    }

    /// Whether a command that does not ask may change files in an agent's environment.
    pub(crate) fn allows_yes_under_agents(&self) -> bool {
        self.allow_yes_under_agents
    }

    /// Puts what the file says in place of the defaults.
    pub(crate) fn configure(self, options: &mut StagingOptions) {
        fn set<T>(to: &mut T, from: Option<T>) {
            if let Some(from) = from {
                *to = from;
            }
        }
        set(&mut options.diff.strategy, self.diff.strategy);
        set(&mut options.diff.size_max_bytes, self.diff.size_max_bytes);
        set(&mut options.diff.deadline, self.plugins.deadline_ms.map(Duration::from_millis));
        set(&mut options.plugin_limits.memory_bytes_max, self.plugins.memory_max_bytes);
        set(&mut options.session_expires_after, self.session.expires_after);
        set(&mut options.history_keep_for, self.history.keep_for);
        set(&mut options.session_bytes_max, self.limits.session_bytes_max);
        set(&mut options.session_patches_max, self.limits.session_patches_max);
        set(&mut options.stored_bytes_max, self.limits.stored_bytes_max);
        set(&mut options.durable_proposals, self.durable_proposals);
        set(&mut options.allow_git, self.allow_git);
        set(&mut options.allow_hard_links, self.allow_hard_links);
        set(&mut options.allow_other_mounts, self.allow_other_mounts);
        set(&mut options.allow_move_aside, self.allow_move_aside);
        options.strategies.extend(self.strategies.into_iter().map(|library| {
            let Library { name, path, blake3, in_process } = library;
            let hosting = if in_process { Hosting::InProcess } else { Hosting::Child };
            TrustedLibrary { name, path, blake3, hosting }
        }));
    }
}

fn wrong(file: &Path, reason: &str) -> Failure {
    Failure::usage(format!("the configuration `{}`{reason}", shown(file)))
        .advise("Correct the file, or remove it to have the defaults.")
}

/// A number and a unit: `90s`, `15m`, `24h`, `7d`.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map(Some).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "`{text}` is no duration: expected a number above 0 and s, m, h or d, like 24h"
        ))
    })
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| serde::de::Error::custom("`blake3` wants the 64 hex digits of the library"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn parse(text: &str) -> Result<StagingOptions, Failure> {
        let mut options = StagingOptions::new("/w", "/s");
        Settings::parse(text, Path::new("/c/config.toml"))?.configure(&mut options);
        Ok(options)
    }

    #[test]
    fn every_setting_reaches_the_options() {
        let hex = "ab".repeat(32);
        let options = parse(&format!(
            "durable_proposals = true\nallow_git = true\nallow_hard_links = true\n\
             allow_other_mounts = true\nallow_move_aside = true\n\
             strategies = [{{ name = \"x\", path = \"/lib/x.so\", blake3 = \"{hex}\" }}]\n\
             [plugins]\ndeadline_ms = 300\nmemory_max_bytes = 400\n\
             [diff]\nstrategy = \"myers\"\nsize_max_bytes = 10\n\
             [session]\nexpires_after = \"2h\"\n[history]\nkeep_for = \"30d\"\n\
             [limits]\nsession_bytes_max = 1\nsession_patches_max = 2\nstored_bytes_max = 3\n"
        ))
        .expect("all of it is known");
        assert_eq!((options.diff.strategy.as_str(), options.diff.size_max_bytes), ("myers", 10));
        assert_eq!(options.session_expires_after, Duration::from_secs(2 * 60 * 60));
        assert_eq!(options.history_keep_for, Duration::from_secs(30 * 24 * 60 * 60));
        assert_eq!((options.session_bytes_max, options.session_patches_max), (1, 2));
        assert_eq!(options.stored_bytes_max, 3);
        assert!(options.durable_proposals && options.allow_git);
        assert!(options.allow_hard_links && options.allow_other_mounts);
        assert!(options.allow_move_aside);
        assert_eq!(options.diff.deadline, Duration::from_millis(300));
        assert_eq!(options.plugin_limits.memory_bytes_max, 400);
        assert_eq!(options.strategies[0].name, "x");
        assert_eq!(options.strategies[0].hosting, Hosting::Child);
        assert_eq!(options.strategies[0].path, Path::new("/lib/x.so"));
        assert_eq!(options.strategies[0].blake3.to_string(), hex);
    }

    #[test]
    fn an_empty_file_keeps_the_defaults() {
        let options = parse("").expect("nothing is wrong with it");
        assert_eq!(options.diff.strategy, "histogram");
    }

    #[test]
    fn a_library_runs_in_this_process_when_that_is_reported() {
        let hex = "ab".repeat(32);
        let library = format!("name = \"x\", path = \"/x.so\", blake3 = \"{hex}\"");
        let parsed = parse(&format!("strategies = [{{ {library}, in_process = true }}]"));
        let hosting = parsed.expect("nothing is wrong with it").strategies[0].hosting;
        assert_eq!(hosting, Hosting::InProcess);
    }

    #[rstest]
    #[case("\n[diff]\nsize = 1", "`/c/config.toml`, line 3, column 1: there is no key `diff.size`")]
    #[case("a = 1\nb = 1", "`/c/config.toml` has 2 mistakes:\n  line 1, column 1: ")]
    fn a_mistake_is_named_with_its_file_and_place(#[case] text: &str, #[case] expected: &str) {
        let failure = parse(text).expect_err("the text is wrong");
        assert!(failure.message.contains(expected), "{}", failure.message);
        assert_eq!(failure.exit_code(), 2);
    }
}
