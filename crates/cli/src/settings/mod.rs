//! The user's configuration: `$XDG_CONFIG_HOME/greenroom/config.toml`.

mod check;
mod duration;
mod keys;
mod values;

use std::io;
use std::path::Path;

use staging_core::StagingOptions;

pub(crate) use self::values::{BUNDLED, Settings};

use crate::failure::Failure;
use crate::files::{SETTINGS_BYTES_MAX, read_regular};
use crate::paths::shown;

impl Settings {
    /// Reads the file, if there is one; `options` has the defaults of the layer.
    pub(crate) fn read(file: Option<&Path>, options: StagingOptions) -> Result<Self, Failure> {
        let Some(file) = file else { return Ok(Self::new(options)) };
        match read_regular(file, SETTINGS_BYTES_MAX) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Self::parse(&text, file, options),
                Err(error) => Err(wrong(file, &format!(", {}", check::no_utf8(&error)))),
            },
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Self::new(options)),
            Err(source) => Err(Failure::io(
                format_args!("cannot read the configuration `{}`", shown(file)),
                &source,
            )),
        }
    }

    fn parse(text: &str, file: &Path, options: StagingOptions) -> Result<Self, Failure> {
        let mut settings = Self::new(options);
        match check::mistakes(text, &mut settings).as_slice() {
            [] => Ok(settings),
            [only] => Err(wrong(file, &format!(", {only}"))),
            several => {
                let lines: String =
                    several.iter().map(|mistake| format!("\n  {mistake}")).collect();
                Err(wrong(file, &format!(" has {} mistakes:{lines}", several.len())))
            }
        }
    }
}

fn wrong(file: &Path, reason: &str) -> Failure {
    Failure::usage(format!("the configuration `{}`{reason}", shown(file)))
        .advise("Correct the file, or remove it to have the defaults.")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;
    use staging_core::Hosting;

    use super::*;

    fn parse(text: &str) -> Result<StagingOptions, Failure> {
        let options = StagingOptions::new("/w", "/s");
        Ok(Settings::parse(text, Path::new("/c/config.toml"), options)?.options)
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
